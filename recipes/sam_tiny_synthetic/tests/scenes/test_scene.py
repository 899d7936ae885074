"""Whole scenes."""

import numpy as np

from recipes.sam_tiny_synthetic.scenes.scene import (
    MAX_MASK_AREA,
    MAX_MASKS,
    MIN_MASK_AREA,
    draw_scene,
    pack_scene,
)


def test_the_same_seed_gives_the_same_scene():
    first, again, other = draw_scene(5, 64), draw_scene(5, 64), draw_scene(6, 64)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask_bits, again.mask_bits)
    assert not np.array_equal(first.image, other.image)


def test_masks_have_usable_sizes():
    for seed in range(6):
        scene = draw_scene(seed, 64)
        masks = scene.masks()
        assert scene.image.shape == (64, 64, 3)
        assert scene.image.dtype == np.uint8
        assert len(masks) == scene.num_masks <= MAX_MASKS
        areas = masks.mean((1, 2))
        assert (areas > MIN_MASK_AREA).all()
        assert (areas < MAX_MASK_AREA).all()


def test_objects_contain_parts():
    num_nested = 0
    for seed in range(12):
        masks = draw_scene(seed, 64).masks()
        is_inside = (masks[:, None] & masks[None]).sum((2, 3)) == masks.sum((1, 2))[:, None]
        num_nested += int(is_inside.sum()) - len(masks)  # each is inside itself
    assert num_nested > 12


def test_packed_masks_are_unpacked_exactly():
    masks = np.random.default_rng(0).random((MAX_MASKS, 5, 5)) < 0.5
    scene = pack_scene(np.zeros((5, 5, 3), np.uint8), list(masks))
    np.testing.assert_array_equal(scene.masks(), masks)
