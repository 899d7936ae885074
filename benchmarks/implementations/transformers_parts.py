"""The image encoder and the mask decoder of transformers, as modules that converters can trace."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.implementations.implementation import ModelFiles, Settings, UnsupportedError

PARTS = {
    "encode": ("encoder",),
    "predict": ("encoder", "decoder"),
    "start": ("encoder", "decoder"),
}
INPUT_NAMES = {"encoder": ["pixels"], "decoder": ["embedding", "points", "labels"]}
OUTPUT_NAMES = {"encoder": ["embedding"], "decoder": ["masks", "iou_predictions"]}


def parts_of_step(step: str) -> tuple[str, ...]:
    """Return the parts of the model that a step uses.

    Raises:
        UnsupportedError: If the step needs more than the model.
    """
    if step not in PARTS:
        raise UnsupportedError("has no automatic mask generation")
    return PARTS[step]


def part_file(folder: str, part: str, files: ModelFiles, settings: Settings, suffix: str) -> Path:
    """Return the path of a converted part. Its shapes are fixed, which both runtimes prefer."""
    count = settings.batch_size if part == "encoder" else settings.num_prompts
    return files.directory / folder / f"{part}-{count}-{settings.dtype}{suffix}"


def load_part(part: str, files: ModelFiles, settings: Settings) -> tuple[Any, tuple[Any, ...]]:
    """Return a part of the model as a module, and example inputs of its shapes."""
    import torch
    from transformers import SamModel

    model = SamModel.from_pretrained(
        files.transformers, attn_implementation="sdpa", dtype=torch.float32
    ).eval()

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = model.vision_encoder

        def forward(self, pixels: Any) -> Any:
            return self.encoder(pixels).last_hidden_state

    class Decoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, embedding: Any, points: Any, labels: Any) -> Any:
            outputs = self.model(
                image_embeddings=embedding, input_points=points, input_labels=labels
            )
            return outputs.pred_masks, outputs.iou_scores

    size = model.config.vision_config.image_size
    if part == "encoder":
        return Encoder().eval(), (torch.zeros(settings.batch_size, 3, size, size),)
    grid = model.config.prompt_encoder_config.image_embedding_size
    width = model.config.mask_decoder_config.hidden_size
    prompts = (1, settings.num_prompts, 1)
    return Decoder().eval(), (
        torch.zeros(1, width, grid, grid),
        torch.full((*prompts, 2), size / 2),
        torch.ones(prompts, dtype=torch.int32),
    )


def to_channels_last(embedding: np.ndarray) -> np.ndarray:
    """Convert an embedding `(B, D, G, G)` to `(B, G, G, D)`, float32."""
    return np.asarray(embedding, np.float32).transpose(0, 2, 3, 1)
