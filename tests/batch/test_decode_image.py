import os

import numpy as np
import pytest
from PIL import Image

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.decode_image import decode_image

ERRORS = {
    "truncated.png": "ImageError",
    "empty.png": "ImageError",
    "text.png": "ImageError",
    "large.png": "TooManyPixelsError",
    "folder.png": "ImageError",
    "broken_link.png": "FileNotFoundError",
    "link_loop.png": "ImageError",
    "pipe.png": "ImageError",
    "missing.png": "FileNotFoundError",
    "zero\0.png": "ImageError",
}


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pixels):
    """A folder with a valid image and everything that can be wrong with one."""
    root = tmp_path_factory.mktemp("files")
    Image.fromarray(pixels).save(root / "valid.png")
    data = (root / "valid.png").read_bytes()
    (root / "png_named.jpg").write_bytes(data)
    (root / "truncated.png").write_bytes(data[: len(data) // 2])
    (root / "empty.png").touch()
    (root / "text.png").write_text("not an image")
    Image.new("L", (5_000, 5_000)).save(root / "large.png")
    (root / "folder.png").mkdir()
    (root / "broken_link.png").symlink_to(root / "nothing")
    # Like a file without read permission, it cannot be opened, but not by root either.
    (root / "link_loop.png").symlink_to(root / "link_loop.png")
    os.mkfifo(root / "pipe.png")
    return root


def decode(path):
    return decode_image(BatchImage("a", str(path)), max_pixels=10_000)


@pytest.mark.parametrize("name", ["valid.png", "png_named.jpg"])
def test_valid_image_has_pixels(folder, pixels, name):
    decoded = decode(folder / name)
    np.testing.assert_array_equal(decoded.pixels, pixels)
    assert decoded.error is None
    assert decoded.seconds > 0
    assert decoded.image == BatchImage("a", str(folder / name))


@pytest.mark.parametrize("name", ERRORS)
def test_invalid_file_is_an_error(folder, name):
    decoded = decode(folder / name)
    assert decoded.pixels is None
    assert decoded.error.error_type == ERRORS[name]
    assert decoded.error.message
    assert "\n" not in decoded.error.message
