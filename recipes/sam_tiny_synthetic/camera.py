"""`photograph`: from a clean scene to what a camera records."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from recipes.sam_tiny_synthetic.surfaces import smooth_noise

Rng = np.random.Generator


def photograph(image: np.ndarray, rng: Rng) -> np.ndarray:
    """What a camera makes of a scene: light, exposure, blur, noise, compression; uint8."""
    size = image.shape[0]
    if rng.random() < 0.4:
        image = image * _dappled_light(size, rng)[..., None]
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    angle = rng.random() * 6.3
    image = image * (1 + 0.4 * rng.random() * (x * np.cos(angle) + y * np.sin(angle)))[..., None]
    image = image * (1 - 0.5 * rng.random() ** 2 * (x * x + y * y))[..., None]
    image = np.clip(image, 0, 1) ** np.exp(rng.normal(0, 0.25))
    image = (image - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5 + rng.normal(0, 0.05)
    image = image * np.exp(rng.normal(0, 0.06, 3))
    if rng.random() < 0.06:
        image = np.repeat(image.mean(-1, keepdims=True), 3, -1)
    picture = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.random() * size / 150))
    pixels = np.asarray(picture, np.float32)
    if rng.random() < 0.6:
        pixels = pixels + rng.normal(0, 1, pixels.shape).astype(np.float32) * (
            rng.random() ** 2 * 14
        )
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(30, 95)))
        picture = Image.open(buffer)
    return np.asarray(picture)


def _dappled_light(size: int, rng: Rng) -> np.ndarray:
    """Light `(S, S)`, 1 or less, with shadows that end softly or sharply and bound no thing."""
    edge = np.exp(rng.uniform(0.5, 3.5))
    shadow = 1 / (1 + np.exp(-edge * (4 * smooth_noise(size, rng, 3) - rng.uniform(1.5, 3.5))))
    return 1 - rng.uniform(0.15, 0.6) * shadow
