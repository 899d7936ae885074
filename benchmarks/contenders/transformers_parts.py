"""`image_encoder` and `mask_decoder` of transformers as modules that converters can trace."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders.contender import ModelFiles, Setting, UnsupportedError

PARTS = {
    "encode": ("encoder",),
    "predict": ("encoder", "decoder"),
    "start": ("encoder", "decoder"),
}
NAMES = {
    "encoder": (["pixels"], ["embedding"]),
    "decoder": (["embedding", "points", "labels"], ["masks", "ratings"]),
}


def parts_for(step: str) -> tuple[str, ...]:
    """The parts that a step takes."""
    if step not in PARTS:
        raise UnsupportedError("has no everything mode")
    return PARTS[step]


def part_file(folder: str, part: str, files: ModelFiles, setting: Setting, suffix: str) -> Path:
    """Where a converted part lies. Its shapes are fixed, which serves both runtimes best."""
    sizes = f"{setting.batch}" if part == "encoder" else f"{setting.prompts}"
    return files.directory / folder / f"{part}-{sizes}-{setting.dtype}{suffix}"


def load_part(part: str, files: ModelFiles, setting: Setting, *, attention: str = "sdpa") -> Any:
    """A module of one part of the model, and inputs of its shapes."""
    import torch
    from transformers import SamModel

    model = SamModel.from_pretrained(
        files.transformers, attn_implementation=attention, dtype=torch.float32
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
        return Encoder().eval(), (torch.zeros(setting.batch, 3, size, size),)
    grid = model.config.prompt_encoder_config.image_embedding_size
    width = model.config.mask_decoder_config.hidden_size
    prompts = (1, setting.prompts, 1)
    return Decoder().eval(), (
        torch.zeros(1, width, grid, grid),
        torch.full((*prompts, 2), size / 2),
        torch.ones(prompts, dtype=torch.int32),
    )


def to_channels_last(embedding: np.ndarray) -> np.ndarray:
    """`(B, D, G, G)` to `(B, G, G, D)`, float32."""
    return np.asarray(embedding, np.float32).transpose(0, 2, 3, 1)
