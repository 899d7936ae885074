"""Scenes without an ingredient, and a click's mask where embeddings are alike."""

import numpy as np
import pytest

from recipes.sam_tiny_synthetic.ablation import INGREDIENTS, NUCLEI, Photograph, click_iou, patched
from keras_sam.transforms.image_transform import ImageTransform
from recipes.sam_tiny_synthetic.scenes import draw_scene


@pytest.fixture(scope="module")
def whole():
    return [draw_scene(seed, 48).image for seed in range(6)]


@pytest.mark.parametrize("name", [name for name in INGREDIENTS if name != NUCLEI])
def test_an_ingredient_is_left_out_and_comes_back(name, whole):
    with patched(INGREDIENTS[name]):
        images = [draw_scene(seed, 48).image for seed in range(6)]
    differs = any(not np.array_equal(a, b) for a, b in zip(images, whole, strict=True))
    assert differs == bool(INGREDIENTS[name])
    np.testing.assert_array_equal(draw_scene(0, 48).image, whole[0])


def test_a_click_takes_what_is_alike():
    """An encoder that sees the color of the left and of the right half."""

    class Halves:
        def encode_image(self, images, training):
            embedding = np.zeros((1, 16, 16, 64), "float32")
            embedding[0, :, :8, 0] = embedding[0, :, 8:, 1] = 8.0  # 8 * 8 / 8 is over the offset
            return embedding

    frame = ImageTransform((128, 128), (128, 128))
    left = np.zeros((128, 128), bool)
    left[:, :64] = True
    image = np.zeros((128, 128, 3), "float32")
    photograph = Photograph(frame, image, [left, ~left, left], np.array([[9, 9], [99, 9], [99, 9]]))
    assert click_iou(Halves(), [photograph]) == pytest.approx(2 / 3, abs=0.02)
