"""`Contender`: one implementation of SAM, driven alike in a process of its own.

A checkout of any other repository takes part by a file that defines a class `Contender` with these
methods, a subclass of this one or not; see `benchmarks.contenders.checkout`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


class UnsupportedError(Exception):
    """What an implementation cannot do; the message is the reason that the table tells."""


@dataclass(frozen=True)
class ModelFiles:
    """The same weights in each form.

    Attributes:
        directory: where all of it lies; converted models go to folders of their own in it.
        image_size: side of the images that the model takes.
    """

    directory: Path
    image_size: int

    @property
    def keras(self) -> Path:
        """A preset directory of keras-hub, and ours."""
        return self.directory / "keras"

    @property
    def transformers(self) -> Path:
        """A directory of transformers."""
        return self.directory / "transformers"

    @property
    def meta(self) -> Path:
        """A file as Meta's code reads it."""
        return self.directory / "meta.pth"


@dataclass(frozen=True)
class Setting:
    """How a contender is to run.

    Attributes:
        dtype: "float32" or "bfloat16", of weights and computation.
        threads: for computing.
        device: "cpu" or "cuda".
        batch: images that are encoded at once.
        prompts: that are decoded at once.
    """

    dtype: str
    threads: int
    device: str = "cpu"
    batch: int = 1
    prompts: int = 1


@dataclass(frozen=True)
class Everything:
    """What everything mode is asked for.

    Attributes:
        points_per_side: of the grid.
        pred_iou_thresh: masks rated higher pass.
        stability_score_thresh: masks more stable pass.
    """

    points_per_side: int
    pred_iou_thresh: float
    stability_score_thresh: float


class Contender(ABC):
    """One implementation; `prepare` comes first. What it lacks raises `UnsupportedError`."""

    def convert(self, files: ModelFiles, setting: Setting, *, step: str) -> None:  # noqa: B027
        """Writes what `prepare` loads, where that is more than loading; in a process of its own.

        Args:
            files: of the model.
            setting: how it will run.
            step: "encode", "predict", "everything" or "start": what it will do.
        """

    @abstractmethod
    def prepare(self, files: ModelFiles, setting: Setting) -> None:
        """Loads the model."""

    @abstractmethod
    def images_to_inputs(self, images: np.ndarray) -> Any:
        """Images `(B, S, S, 3)` uint8 RGB as the image encoder takes them. Not timed."""

    @abstractmethod
    def encode(self, inputs: Any) -> Any:
        """Image embeddings, complete, in the implementation's own form. Timed."""

    @abstractmethod
    def embedding_to_numpy(self, embedding: Any) -> np.ndarray:
        """What `encode` gave as float32 `(B, G, G, D)`. Not timed."""

    @abstractmethod
    def set_image(self, image: np.ndarray) -> None:
        """Encodes an image `(S, S, 3)` uint8 RGB and holds it. Not timed, but in the start."""

    @abstractmethod
    def predict(self, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Masks of prompts of the image that is held. Timed.

        Args:
            points: `(P, N, 2)` float32 (x, y), pixels of the image.
            labels: `(P, N)` int32: 1 foreground, 0 background.

        Returns:
            float32 low-res logits of the three masks `(P, 3, L, L)`, their ratings `(P, 3)`.
        """

    def everything(self, image: np.ndarray, wanted: Everything) -> list[tuple[np.ndarray, float]]:
        """All masks `(H, W)` bool of an image `(H, W, 3)` uint8, and their ratings. Timed."""
        raise UnsupportedError("has no everything mode")
