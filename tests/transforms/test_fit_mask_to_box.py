"""Masks fitted to boxes, checked on their pixels in the original."""

import math

import numpy as np
import pytest

from keras_sam.masks.measures import mask_to_box
from keras_sam.transforms.fit_mask_to_box import (
    cells_in_box,
    clip_mask_to_box,
    clip_pixels_to_box,
    expand_mask_to_box,
)
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.logits import BACKGROUND_LOGIT
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing

SIZE = (90, 150)
BOXES = [(30, 20, 110, 70), (41.5, 33.2, 60.0, 44.9), (0, 0, 150, 90), (70, 40, 73, 42)]
LARGE_BOXES = [
    (30, 20, 110, 70),
    (41.5, 33.2, 60.0, 44.9),
    (0, 0, 150, 90),
    (0, 38.3, 77.7, 90),
    (2.5, 2.5, 147.5, 87.5),  # one cell within the border
]


def build_transform(size=SIZE, *, resize="longest_side", upsample_in="logits"):
    return ImageTransform(
        size, (256, 256), Preprocessing(resize=resize), Postprocessing(upsample_in=upsample_in)
    )


TRANSFORMS = {
    "logits": build_transform(),
    "probabilities": build_transform(upsample_in="probabilities"),
    "stretch": build_transform(resize="stretch"),
    "medsam": build_transform(resize="stretch", upsample_in="probabilities"),
}


@pytest.fixture(params=TRANSFORMS.values(), ids=TRANSFORMS)
def transform(request):
    return request.param


def disc(radius: float, *, noise: float = 0.0) -> np.ndarray:
    """Return logits `(64, 64)` of a disc whose center is inside all boxes; 4 at the center."""
    y, x = np.mgrid[:64, :64]
    logits = 4 - 4 * ((y - 16.8) ** 2 + (x - 30) ** 2) / radius**2
    logits = np.maximum(logits, -20)
    return (logits + np.random.default_rng(1).normal(0, noise, (64, 64))).astype(np.float32)


def touched_pixels(box: tuple[float, ...]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = box
    return slice(math.floor(y0), math.ceil(y1)), slice(math.floor(x0), math.ceil(x1))


def coverage(logits: np.ndarray, transform: ImageTransform, box: tuple[float, ...]) -> float:
    """Compute the share of a box that is inside the mask's own box."""
    mask = transform.postprocess_masks(logits)[touched_pixels(box)]
    x0, y0, x1, y1 = mask_to_box(mask)
    return (x1 - x0) * (y1 - y0) / mask.size


def pixels_inside(box: np.ndarray, size: tuple[int, int], *, margin: float = 0.0) -> np.ndarray:
    """Return the pixels `(H, W)` whose centers are inside a box enlarged by a margin."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    x0, y0, x1, y1 = np.add(box, [-margin, -margin, margin, margin])
    return (x0 < x) & (x < x1) & (y0 < y) & (y < y1)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("radius", [1.0, 4.0, 9.0, 30.0])
def test_mask_is_expanded_by_the_smallest_sufficient_offset(box, radius):
    transform = build_transform()
    logits = disc(radius, noise=0.2)
    difference = expand_mask_to_box(logits, transform, np.array(box)) - logits
    np.testing.assert_allclose(difference, difference[0, 0], atol=1e-5)
    offset = float(difference[0, 0])
    assert 0 <= offset <= 6
    assert coverage(logits + offset + 1e-4, transform, box) >= 0.9 - 0.15 * offset - 1e-4
    for smaller in np.arange(0, offset - 0.05, 0.1):
        assert coverage(logits + smaller - 1e-4, transform, box) < 0.9 - 0.15 * smaller + 1e-4


def test_mask_that_covers_its_box_is_not_expanded(transform):
    logits = disc(9)
    box = mask_to_box(transform.postprocess_masks(logits))
    np.testing.assert_array_equal(expand_mask_to_box(logits, transform, box), logits)


def test_expansion_is_similar_for_logits_and_probabilities():
    logits, box = disc(4), np.array(BOXES[0])
    by_logits, by_probabilities = (
        expand_mask_to_box(logits, TRANSFORMS[name], box) for name in ("logits", "probabilities")
    )
    # Not equal, since the pixels between cells differ.
    np.testing.assert_allclose(by_probabilities, by_logits, atol=0.5)
    assert (by_probabilities > logits).all()


def test_empty_mask_gets_the_largest_offset(transform):
    logits = np.full((64, 64), -16, np.float32)
    expanded = expand_mask_to_box(logits, transform, np.array(BOXES[1]))
    np.testing.assert_array_equal(expanded, np.full((64, 64), -10, np.float32))


@pytest.mark.parametrize("box", LARGE_BOXES)
@pytest.mark.parametrize("peak", [0.5, 4.0, 9.2, 30.0])
def test_clipped_mask_ends_at_the_box_up_to_one_pixel(transform, box, peak):
    logits = np.full((64, 64), peak, np.float32)
    mask = transform.postprocess_masks(clip_mask_to_box(logits, transform, np.array(box)))
    assert not (mask & ~pixels_inside(box, SIZE, margin=1)).any()
    # Interpolation rounds the corners; the middle of each side is straight.
    x0, y0, x1, y1 = mask_to_box(mask)
    np.testing.assert_allclose((x0, y0, x1, y1), box, atol=1.0)
    missing = pixels_inside(box, SIZE, margin=-1) & ~mask
    assert np.count_nonzero(missing) <= 4 * 2


@pytest.mark.parametrize("box", LARGE_BOXES)
@pytest.mark.parametrize("gain", [1, 5])
def test_clipping_removes_only_what_is_outside_the_box(transform, box, gain):
    logits = gain * disc(12, noise=0.5)
    mask = transform.postprocess_masks(logits)
    clipped_logits = clip_mask_to_box(logits, transform, np.array(box))
    assert (clipped_logits <= np.maximum(logits, BACKGROUND_LOGIT)).all()
    assert clipped_logits.min() >= min(BACKGROUND_LOGIT, logits.min())
    clipped = transform.postprocess_masks(clipped_logits)
    assert not (clipped & ~mask).any()
    assert not (clipped & ~pixels_inside(box, SIZE, margin=1)).any()
    cell = 150 / 64
    inside = pixels_inside(box, SIZE, margin=-cell)
    np.testing.assert_array_equal(clipped[inside], mask[inside])


@pytest.mark.parametrize("upsample_in", ["logits", "probabilities"])
@pytest.mark.parametrize("peak", [0.5, 9.2, 30.0])
def test_clipped_mask_ends_with_subcell_precision(upsample_in, peak):
    """A stretched image is interpolated once, so each side can be exact; a cell has 10 pixels."""
    transform = build_transform((640, 640), resize="stretch", upsample_in=upsample_in)
    logits = np.full((64, 64), peak, np.float32)
    for shift in range(10):
        box = np.array([100 + shift, 211 + shift, 300 + 3 * shift, 454 + 7 * shift])
        clipped = clip_mask_to_box(logits, transform, box)
        np.testing.assert_array_equal(mask_to_box(transform.postprocess_masks(clipped)), box)
        assert clipped.min() == BACKGROUND_LOGIT


@pytest.mark.parametrize("box", LARGE_BOXES)
def test_far_cells_become_background(box):
    transform = TRANSFORMS["logits"]
    clipped = clip_mask_to_box(np.full((64, 64), 5, np.float32), transform, np.array(box))
    y, x = (np.mgrid[:64, :64] + 0.5) * 150 / 64  # centers of the cells in the original
    x0, y0, x1, y1 = box
    far = np.maximum.reduce([x0 - x, y0 - y, x - x1, y - y1]) > 150 / 64
    assert (clipped[far] == BACKGROUND_LOGIT).all()
    inside = np.minimum.reduce([x - x0, y - y0, x1 - x, y1 - y]) > 150 / 64
    assert (clipped[inside] == 5).all()


@pytest.mark.parametrize("peak", [1.0, 9.2, 30.0])
def test_mask_in_a_box_within_one_cell_keeps_its_logits_nearby(transform, peak):
    random = np.random.default_rng(0)
    logits = np.full((64, 64), peak, np.float32)
    cell = np.array(SIZE) / transform.low_res_input_size((64, 64))  # (height, width) in pixels
    for _ in range(20):
        low = random.uniform(0.1, 0.9, 2) * SIZE
        high = low + random.uniform(0.2, 0.9, 2) * cell
        box = np.array([low[1], low[0], high[1], high[0]])
        mask = transform.postprocess_masks(clip_mask_to_box(logits, transform, box))
        inside = pixels_inside(box, SIZE, margin=0)
        assert (mask & inside).sum() == inside.sum()
        assert not (mask & ~pixels_inside(box, SIZE, margin=2 * cell.max())).any()


@pytest.mark.parametrize("box", [*BOXES, (149.4, 89.5, 150, 90)])
def test_pixels_outside_the_touched_ones_are_removed(transform, box):
    random = np.random.default_rng(0)
    inside = np.zeros(SIZE, bool)
    inside[touched_pixels(box)] = True
    masks = random.random((3, *SIZE)) < 0.5
    found = masks.copy()
    clip_pixels_to_box(found, transform, np.array(box))
    np.testing.assert_array_equal(found, masks & inside)
    logits = random.normal(0, 1, SIZE)
    found = logits.copy()
    clip_pixels_to_box(found, transform, np.array(box))
    np.testing.assert_array_equal(found, np.where(inside, logits, BACKGROUND_LOGIT))


def test_clipping_leaves_its_input_unchanged():
    logits = np.full((64, 64), 5, np.float32)
    clip_mask_to_box(logits, build_transform(), np.array(BOXES[0]))
    assert (logits == 5).all()


@pytest.mark.parametrize(
    ("size", "image_size", "low_res_size"),
    [
        ((90, 150), 256, (64, 64)),
        ((13, 21), 16, (4, 4)),
        ((40, 9), 16, (4, 8)),
        ((7, 7), 32, (8, 8)),
    ],
)
@pytest.mark.parametrize("resize", ["longest_side", "stretch"])
def test_cells_in_box_are_those_it_touches_and_one_more(size, image_size, low_res_size, resize):
    transform = ImageTransform(size, (image_size, image_size), Preprocessing(resize=resize))
    random = np.random.default_rng(0)
    for _ in range(50):
        x0, x1 = np.sort(random.uniform(0, size[1], 2))
        y0, y1 = np.sort(random.uniform(0, size[0], 2))
        slices = cells_in_box(transform, low_res_size, np.array([x0, y0, x1, y1]))
        for axis, (low, high) in enumerate(((y0, y1), (x0, x1))):
            pixels_per_cell = image_size / low_res_size[axis]
            pixels_per_cell *= size[axis] / transform.input_size[axis]  # in the original
            count = transform.low_res_input_size(low_res_size)[axis]
            starts = np.arange(count) * pixels_per_cell
            touched = np.flatnonzero((starts + pixels_per_cell > low) & (starts < high))
            expected = slice(max(0, touched[0] - 1), min(count, touched[-1] + 2))
            assert slices[axis] == expected
