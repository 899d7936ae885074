"""`TransformersSAM`: `SamModel` of transformers, with attention "sdpa" or "eager"."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.implementations.device import require_gpu
from benchmarks.implementations.implementation import (
    GeneratorOptions,
    Implementation,
    ModelFiles,
    Settings,
)


class TransformersSAM(Implementation):
    """The model for single steps, and the pipeline `mask-generation`.

    Args:
        attention: Attention implementation, "sdpa" or "eager".
        is_compiled: If True, the image encoder is compiled by `torch.compile`.
    """

    def __init__(self, attention: str = "sdpa", *, is_compiled: bool = False) -> None:
        self.attention = attention
        self.is_compiled = is_compiled

    def prepare(self, files: ModelFiles, settings: Settings) -> None:
        import torch
        from transformers import SamModel

        torch.set_num_threads(settings.threads)
        if settings.device != "cpu":
            require_gpu("torch")
        self.files, self.settings = files, settings
        self.dtype = getattr(torch, settings.dtype)
        self.model = SamModel.from_pretrained(
            files.transformers, attn_implementation=self.attention, dtype=self.dtype
        ).eval()
        self.model.to(settings.device)
        self.embedding: Any = None
        self.pipeline: Any = None
        if self.is_compiled:
            self.model.vision_encoder.compile(mode="max-autotune-no-cudagraphs")

    def images_to_inputs(self, images: np.ndarray) -> Any:
        import torch

        pixels = normalize_pixels(images)
        return torch.from_numpy(pixels).to(self.settings.device, self.dtype)

    def encode(self, inputs: Any) -> Any:
        import torch

        with torch.inference_mode():
            embedding = self.model.get_image_embeddings(inputs)
        if self.settings.device == "cuda":
            torch.cuda.synchronize()
        return embedding

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return embedding.permute(0, 2, 3, 1).float().cpu().numpy()

    def set_image(self, image: np.ndarray) -> None:
        self.embedding = self.encode(self.images_to_inputs(image[None]))

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        device = self.settings.device
        with torch.inference_mode():
            outputs = self.model(
                image_embeddings=self.embedding,
                input_points=torch.from_numpy(points)[None].to(device, self.dtype),
                input_labels=torch.from_numpy(labels)[None].to(device),
            )
        masks, iou_predictions = outputs.pred_masks[0], outputs.iou_scores[0]
        return masks.float().cpu().numpy(), iou_predictions.float().cpu().numpy()

    def generate_masks(
        self, image: np.ndarray, options: GeneratorOptions
    ) -> list[tuple[np.ndarray, float]]:
        from PIL import Image

        if self.pipeline is None:
            self.pipeline = mask_generation_pipeline(self.model, self.files.transformers)
        outputs = self.pipeline(
            Image.fromarray(image),
            points_per_batch=64,
            points_per_crop=options.points_per_side,
            pred_iou_thresh=options.pred_iou_thresh,
            stability_score_thresh=options.stability_score_thresh,
        )
        scores = [float(score) for score in outputs["scores"]]
        return list(zip(map(np.asarray, outputs["masks"]), scores, strict=True))


def normalize_pixels(images: np.ndarray) -> np.ndarray:
    """Normalize images as SAM's image processor does.

    Args:
        images: Images `(B, S, S, 3)`, uint8 RGB.

    Returns:
        Pixels `(B, 3, S, S)`, float32.
    """
    from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD

    pixels = (images.astype(np.float32) / 255 - PIXEL_MEAN) / PIXEL_STD
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)


def mask_generation_pipeline(model: Any, directory: Path) -> Any:
    """Return the pipeline of a loaded model.

    The last step of the pipeline, non-maximum suppression, needs torchvision. If torchvision
    cannot be imported, as next to a CPU build of torch, `box_nms` of this project replaces it.
    """
    from transformers import SamImageProcessorPil, pipeline

    processor: Any
    if _has_torchvision():
        from transformers import AutoImageProcessor

        processor = AutoImageProcessor.from_pretrained(directory)
    else:
        processor = SamImageProcessorPil.from_pretrained(directory)
        processor.post_process_for_mask_generation = _suppress_duplicates
    return pipeline("mask-generation", model=model, image_processor=processor, device=model.device)


def _has_torchvision() -> bool:
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):  # RuntimeError if it was built for another torch
        return False
    return True


def _suppress_duplicates(
    rle_masks: list[dict[str, Any]], scores: Any, boxes: Any, threshold: float
) -> tuple[list[np.ndarray], Any, list[dict[str, Any]], Any]:
    """Return masks, scores, RLEs and boxes of the masks that non-maximum suppression keeps."""
    from transformers.models.sam.image_processing_pil_sam import _rle_to_mask

    from keras_sam.masks.box_nms import box_nms

    kept = box_nms(boxes.float().cpu().numpy(), scores.float().cpu().numpy(), threshold)
    kept_masks = [rle_masks[index] for index in kept]
    return [_rle_to_mask(rle) for rle in kept_masks], scores[kept], kept_masks, boxes[kept]
