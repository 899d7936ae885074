"""`TransformersSAM`: `SamModel` of transformers, with attention "sdpa" or "eager"."""

from typing import Any

import numpy as np

from benchmarks.contenders.contender import Contender, Everything, ModelFiles, Setting
from benchmarks.contenders.graphics_card import require_card


class TransformersSAM(Contender):
    """Its model for single steps, and its `mask-generation` pipeline for everything mode.

    Args:
        attention: "sdpa" or "eager".
        is_compiled: whether the image encoder goes through `torch.compile`.
    """

    def __init__(self, attention: str = "sdpa", *, is_compiled: bool = False) -> None:
        self.attention = attention
        self.is_compiled = is_compiled

    def prepare(self, files: ModelFiles, setting: Setting) -> None:
        import torch
        from transformers import SamModel

        torch.set_num_threads(setting.threads)
        if setting.device != "cpu":
            require_card("torch")
        self.files, self.setting = files, setting
        self.dtype = getattr(torch, setting.dtype)
        self.model = SamModel.from_pretrained(
            files.transformers, attn_implementation=self.attention, dtype=self.dtype
        ).eval()
        self.model.to(setting.device)
        self.embedding: Any = None
        if self.is_compiled:
            self.model.vision_encoder.compile(mode="max-autotune-no-cudagraphs")

    def images_to_inputs(self, images: np.ndarray) -> Any:
        import torch

        pixels = normalized_pixels(images)
        return torch.from_numpy(pixels).to(self.setting.device, self.dtype)

    def encode(self, inputs: Any) -> Any:
        import torch

        with torch.inference_mode():
            embedding = self.model.get_image_embeddings(inputs)
        if self.setting.device == "cuda":
            torch.cuda.synchronize()
        return embedding

    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        return embedding.permute(0, 2, 3, 1).float().cpu().numpy()

    def set_image(self, image: np.ndarray) -> None:
        self.embedding = self.encode(self.images_to_inputs(image[None]))

    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        device = self.setting.device
        with torch.inference_mode():
            outputs = self.model(
                image_embeddings=self.embedding,
                input_points=torch.from_numpy(points)[None].to(device, self.dtype),
                input_labels=torch.from_numpy(labels)[None].to(device),
            )
        masks, ratings = outputs.pred_masks[0], outputs.iou_scores[0]
        return masks.float().cpu().numpy(), ratings.float().cpu().numpy()

    def everything(self, image: np.ndarray, wanted: Everything) -> list[tuple[np.ndarray, float]]:
        from PIL import Image

        from benchmarks.contenders.transformers_pipeline import mask_generation_pipeline

        if not hasattr(self, "pipeline"):
            self.pipeline = mask_generation_pipeline(self.model, self.files.transformers)
        found = self.pipeline(
            Image.fromarray(image),
            points_per_batch=64,
            points_per_crop=wanted.points_per_side,
            pred_iou_thresh=wanted.pred_iou_thresh,
            stability_score_thresh=wanted.stability_score_thresh,
        )
        ratings = [float(score) for score in found["scores"]]
        return list(zip(map(np.asarray, found["masks"]), ratings, strict=True))


def normalized_pixels(images: np.ndarray) -> np.ndarray:
    """Images `(B, S, S, 3)` uint8 as `(B, 3, S, S)` float32, as SAM's processor makes them."""
    from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD

    pixels = (images.astype(np.float32) / 255 - PIXEL_MEAN) / PIXEL_STD
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)
