"""`expand_mask_to_box` against masks of the original that are raised step by step."""

import numpy as np
import pytest

from keras_sam.masks.measures import mask_to_box
from keras_sam.transforms.expand_mask_to_box import expand_mask_to_box
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing

SIZE = (90, 150)
BOXES = [(30, 20, 110, 70), (41.5, 33.2, 60.0, 44.9), (0, 0, 150, 90), (70, 40, 73, 42)]


def disc(radius: float, *, noise: float = 0.0) -> np.ndarray:
    """Logits around a place inside of all boxes; 4 in the middle."""
    y, x = np.mgrid[:64, :64]
    logits = 4 - 4 * ((y - 16.8) ** 2 + (x - 30) ** 2) / radius**2
    logits = np.maximum(logits, -20)
    return (logits + np.random.default_rng(1).normal(0, noise, (64, 64))).astype(np.float32)


def covered(logits: np.ndarray, frame: ImageTransform, box: tuple[float, ...]) -> float:
    """Of the pixels that a box touches, the share in the box around the mask."""
    mask = frame.postprocess_masks(logits[None], boxes=np.array([box]))[0]
    x0, y0, x1, y1 = mask_to_box(mask)
    rows, columns = frame.window(box)
    return (x1 - x0) * (y1 - y0) / ((rows.stop - rows.start) * (columns.stop - columns.start))


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("radius", [1.0, 4.0, 9.0, 30.0])
def test_a_mask_is_raised_until_it_covers_enough_of_its_box(box, radius):
    frame = ImageTransform(SIZE, (256, 256), Preprocessing(box_masks="fitted"))
    logits = disc(radius, noise=0.2)
    raised = expand_mask_to_box(logits, frame, frame.window(box)) - logits
    np.testing.assert_allclose(raised, raised[0, 0], atol=1e-5)
    by = float(raised[0, 0])
    assert 0 <= by <= 6
    assert covered(logits + by + 1e-4, frame, box) >= 0.9 - 0.15 * by - 1e-4
    for less in np.arange(0, by - 0.05, 0.1):
        assert covered(logits + less - 1e-4, frame, box) < 0.9 - 0.15 * less + 1e-4


def test_a_mask_that_reaches_its_box_stays_as_it_is():
    frame = ImageTransform(SIZE, (256, 256), Preprocessing(box_masks="fitted"))
    logits = disc(9)
    box = mask_to_box(frame.postprocess_masks(logits))
    np.testing.assert_array_equal(expand_mask_to_box(logits, frame, frame.window(box)), logits)


def test_probabilities_are_raised_as_their_logits():
    logits = disc(4)
    frames = [
        ImageTransform(SIZE, (256, 256), Preprocessing(box_masks="fitted", upscaled=upscaled))
        for upscaled in ("logits", "probabilities")
    ]
    found, expected = (
        expand_mask_to_box(logits, frame, frame.window(BOXES[0])) for frame in frames
    )
    np.testing.assert_allclose(found, expected, atol=0.5)  # not quite: other pixels between cells
    assert (found > logits).all()


def test_where_there_is_no_mask_the_logits_stay_finite():
    frame = ImageTransform(SIZE, (256, 256), Preprocessing(box_masks="fitted"))
    logits = np.full((64, 64), -16, np.float32)
    assert (expand_mask_to_box(logits, frame, frame.window(BOXES[1])) == -10).all()
