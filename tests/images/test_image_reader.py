"""Readers of arrays, and of sources that users define."""

import numpy as np
import pytest
from PIL import Image

from keras_sam.images.image_reader import ArrayReader, ImageReader

PIXELS = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)


class Checkerboard(ImageReader):
    """The least that a subclass needs."""

    size = (10**6, 10**6)

    def read(self, box):
        x0, y0, x1, y1 = box
        gray = 255 * ((np.arange(y0, y1)[:, None] + np.arange(x0, x1)) % 2)
        return np.repeat(gray[..., None], 3, axis=2).astype(np.uint8)


def test_a_subclass_needs_only_size_and_read():
    with Checkerboard() as reader:
        assert reader.georeference is None
        assert not reader.is_nodata((0, 0, 5, 5))
        np.testing.assert_array_equal(reader.read((0, 0, 2, 1))[..., 0], [[0, 255]])


def test_a_subclass_without_read_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        type("Incomplete", (ImageReader,), {"size": (1, 1)})()


def test_boxes_of_an_array():
    reader = ArrayReader(PIXELS)
    assert reader.size == (70, 90)
    for x0, y0, x1, y1 in [(0, 0, 90, 70), (0, 0, 1, 1), (13, 5, 60, 41), (89, 69, 90, 70)]:
        np.testing.assert_array_equal(reader.read((x0, y0, x1, y1)), PIXELS[y0:y1, x0:x1])


def test_an_array_is_not_copied(tmp_path):
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=(70, 90, 3))
    reader = ArrayReader(mapped)
    mapped[:] = PIXELS
    np.testing.assert_array_equal(reader.read((1, 2, 3, 4)), PIXELS[2:4, 1:3])


def test_the_georeference_is_that_of_the_file(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert ArrayReader(PIXELS, path=tmp_path / "a.png").georeference is None
    (tmp_path / "a.pgw").write_text("10\n0\n0\n-10\n500005\n4599995\n")
    georeference = ArrayReader(PIXELS, path=tmp_path / "a.png").georeference
    assert georeference.transform == (10, 0, 500_000, 0, -10, 4_600_000)


@pytest.mark.parametrize("box", [(0, 0, 91, 70), (-1, 0, 5, 5), (5, 5, 5, 9), (8, 8, 6, 9)])
def test_boxes_outside_the_image_raise(box):
    with pytest.raises(ValueError, match=r"inside an image of size \(70, 90\)"):
        ArrayReader(PIXELS).read(box)


@pytest.mark.parametrize(
    "pixels",
    [PIXELS.astype(float), PIXELS[..., 0], PIXELS[..., :2], PIXELS[:0], PIXELS[None]],
    ids=lambda pixels: f"{pixels.shape} {pixels.dtype}",
)
def test_other_arrays_raise(pixels):
    with pytest.raises(ValueError, match=r"pixels must be \(H, W, 3\) uint8"):
        ArrayReader(pixels)
