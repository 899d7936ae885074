"""`Implementation`: one implementation of SAM, which runs in a process of its own.

A checkout of another repository takes part with a file that defines a class `Implementation` with
these methods. It need not be a subclass of this one; see `benchmarks.implementations.registry`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


class UnsupportedError(Exception):
    """An implementation lacks a feature. The message is the reason shown in the table."""


@dataclass(frozen=True)
class ModelFiles:
    """The same weights in the format of each implementation.

    Attributes:
        directory: Directory of the files. Converted models go to folders of their own in it.
        image_size: Side of the model's images in pixels.
    """

    directory: Path
    image_size: int

    @property
    def keras(self) -> Path:
        """A preset directory, for keras-hub and keras_sam."""
        return self.directory / "keras"

    @property
    def transformers(self) -> Path:
        """A model directory of transformers."""
        return self.directory / "transformers"

    @property
    def meta(self) -> Path:
        """A `.pth` file for Meta's code."""
        return self.directory / "meta.pth"


@dataclass(frozen=True)
class Settings:
    """Conditions under which an implementation runs.

    Attributes:
        dtype: Type of weights and computation, "float32" or "bfloat16".
        threads: Number of threads for computation.
        device: "cpu" or "cuda".
        batch_size: Number of images encoded together.
        num_prompts: Number of prompts decoded together.
    """

    dtype: str
    threads: int
    device: str = "cpu"
    batch_size: int = 1
    num_prompts: int = 1


@dataclass(frozen=True)
class GeneratorOptions:
    """Options of automatic mask generation.

    Attributes:
        points_per_side: Points along each side of the point grid.
        pred_iou_thresh: Minimum predicted IoU of a mask.
        stability_score_thresh: Minimum stability score of a mask.
    """

    points_per_side: int
    pred_iou_thresh: float
    stability_score_thresh: float


class Implementation(ABC):
    """One implementation. `prepare` comes first. A missing feature raises `UnsupportedError`."""

    def convert(self, files: ModelFiles, settings: Settings, *, step: str) -> None:  # noqa: B027
        """Write converted files that `prepare` loads. Runs in a process of its own.

        Args:
            files: Files of the model.
            settings: Conditions of the later run.
            step: Step that will run: "encode", "predict", "generate" or "start".
        """

    @abstractmethod
    def prepare(self, files: ModelFiles, settings: Settings) -> None:
        """Load the model."""

    @abstractmethod
    def images_to_inputs(self, images: np.ndarray) -> Any:
        """Convert images `(B, S, S, 3)`, uint8 RGB, to inputs of the image encoder. Not timed."""

    @abstractmethod
    def encode(self, inputs: Any) -> Any:
        """Return complete image embeddings in the implementation's own format. Timed."""

    @abstractmethod
    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        """Convert the output of `encode` to float32 `(B, G, G, D)`. Not timed."""

    @abstractmethod
    def set_image(self, image: np.ndarray) -> None:
        """Encode an image `(S, S, 3)`, uint8 RGB, for `predict`. Timed only in the step "start"."""

    @abstractmethod
    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict masks of prompts of the image that is set. Timed.

        Args:
            points: Points `(P, N, 2)` (x, y), float32, in pixels of the image.
            labels: Labels `(P, N)`, int32: 1 foreground, 0 background.

        Returns:
            Low-res logits `(P, 3, L, L)` and IoU predictions `(P, 3)`, float32.
        """

    def generate_masks(
        self, image: np.ndarray, options: GeneratorOptions
    ) -> list[tuple[np.ndarray, float]]:
        """Generate all masks of an image. Timed.

        Args:
            image: Image `(H, W, 3)`, uint8 RGB.
            options: Point grid and thresholds.

        Returns:
            Masks `(H, W)`, bool, each with its predicted IoU.
        """
        raise UnsupportedError("has no automatic mask generation")
