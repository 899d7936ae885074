"""`simulate_camera`: light, exposure, blur, noise and compression of a photograph."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from recipes.sam_tiny_synthetic.scenes.surfaces import smooth_noise

Rng = np.random.Generator

DAPPLED_LIGHT_PROBABILITY = 0.4


def simulate_camera(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Turn a clean scene into a photograph.

    Args:
        image: Colors `(S, S, 3)`, float, about 0 to 1.
        rng: Random number generator.

    Returns:
        RGB image `(S, S, 3)`, uint8.
    """
    return _record(_expose(_light(image, rng), rng), rng)


def _light(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Apply patches of light, a gradient and a vignette."""
    size = image.shape[0]
    if rng.random() < DAPPLED_LIGHT_PROBABILITY:
        image = image * _dappled_light(size, rng)[..., None]
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    angle = rng.random() * 6.3
    image = image * (1 + 0.4 * rng.random() * (x * np.cos(angle) + y * np.sin(angle)))[..., None]
    return image * (1 - 0.5 * rng.random() ** 2 * (x * x + y * y))[..., None]


def _dappled_light(size: int, rng: Rng) -> np.ndarray:
    """Draw light `(S, S)`, at most 1, with soft or sharp shadows that belong to no object."""
    contrast = np.exp(rng.uniform(0.5, 3.5))
    level = 4 * smooth_noise(size, rng, 3) - rng.uniform(1.5, 3.5)
    shadow = 1 / (1 + np.exp(-contrast * level))
    return 1 - rng.uniform(0.15, 0.6) * shadow


def _expose(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Change gamma, contrast, brightness and white balance; sometimes remove the color."""
    image = np.clip(image, 0, 1) ** np.exp(rng.normal(0, 0.25))
    image = (image - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5 + rng.normal(0, 0.05)
    image = image * np.exp(rng.normal(0, 0.06, 3))
    if rng.random() < 0.06:
        image = np.repeat(image.mean(-1, keepdims=True), 3, -1)
    return image


def _record(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Apply blur, noise and JPEG compression, each sometimes."""
    recorded = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.4:
        blur = ImageFilter.GaussianBlur(rng.random() * image.shape[0] / 150)
        recorded = recorded.filter(blur)
    pixels = np.asarray(recorded, np.float32)
    if rng.random() < 0.6:
        noise = rng.normal(0, 1, pixels.shape).astype(np.float32)
        pixels = pixels + noise * (rng.random() ** 2 * 14)
    recorded = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        buffer = BytesIO()
        recorded.save(buffer, "JPEG", quality=int(rng.integers(30, 95)))
        recorded = Image.open(buffer)
    return np.asarray(recorded)
