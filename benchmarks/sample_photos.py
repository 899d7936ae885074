"""`COFFEE`, `sample_photos`, `read_photo`: the photographs of the package, to run benchmarks on."""

from pathlib import Path

import numpy as np
from PIL import Image

SAMPLE_DIR = Path(__file__).parent.parent / "keras_sam" / "assets"
COFFEE = SAMPLE_DIR / "coffee.jpg"


def sample_photos() -> list[Path]:
    """Return the paths of all photographs of the package, sorted."""
    return sorted(SAMPLE_DIR.glob("*.jpg"))


def read_photo(size: tuple[int, int] | None = None) -> np.ndarray:
    """Read the photograph `COFFEE`, `(H, W, 3)`, uint8 RGB.

    Args:
        size: `(width, height)` to enlarge it to. `None` keeps its size, 600 x 400.
    """
    with Image.open(COFFEE) as image:
        photo = image.convert("RGB")
    if size is not None:
        photo = photo.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    return np.asarray(photo)
