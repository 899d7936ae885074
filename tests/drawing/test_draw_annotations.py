"""All masks drawn on an image: colors, legend, and unchanged pixels."""

import numpy as np
import pytest

from keras_sam.annotations.mask_record import mask_to_record
from keras_sam.drawing.draw_annotations import FILL_OPACITY, draw_annotations

SIZE = (90, 120)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
IMAGE.flags.writeable = False


def rectangle(y0, y1, x0, x1, **scores):
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask_to_record(mask, **scores)


def fill_color(overlay, y, x):
    """Return the color that was blended into a pixel."""
    return np.round((overlay[y, x] - (1 - FILL_OPACITY) * IMAGE[y, x]) / FILL_OPACITY)


def test_neighbors_differ_and_the_background_is_unchanged():
    left, right = rectangle(10, 80, 10, 50), rectangle(10, 80, 51, 91)
    overlay = draw_annotations(IMAGE, [left, right], legend=False)
    assert np.abs(fill_color(overlay, 45, 30) - fill_color(overlay, 45, 70)).max() > 50
    np.testing.assert_array_equal(overlay[:, 97:], IMAGE[:, 97:])
    assert (overlay[45, 10].astype(int) > 150).all()  # the boundary is white


def test_smaller_mask_is_on_top():
    large, small = rectangle(0, 90, 0, 120), rectangle(30, 60, 40, 80)
    both = draw_annotations(IMAGE, [small, large], legend=False)
    assert np.abs(fill_color(both, 45, 60) - fill_color(both, 45, 20)).max() > 50


@pytest.mark.parametrize("legend", [True, False])
@pytest.mark.parametrize(
    "records",
    [
        [],
        [rectangle(0, 0, 0, 0)],
        [rectangle(0, 90, 0, 120, predicted_iou=1.5)],
        [rectangle(89, 90, 119, 120, predicted_iou=-3), rectangle(0, 1, 0, 1, category="ä" * 99)],
        [rectangle(y, y + 3, 0, 120, predicted_iou=y / 90) for y in range(0, 90, 3)],
    ],
    ids=["none", "empty", "full", "pixels", "many"],
)
def test_any_records_are_drawn_without_changing_the_image(records, legend):
    before = IMAGE.copy()
    overlay = draw_annotations(IMAGE, records, legend=legend)
    assert (overlay.dtype, overlay.ndim, overlay.shape[2]) == (np.uint8, 3, 3)
    if legend:
        assert (overlay.shape[0], overlay.shape[1] > 960 + 150) == (720, True)
        assert (overlay[5:40, 980:1100] < 100).any()  # the text with the number of masks
    else:
        assert overlay.shape == IMAGE.shape
    np.testing.assert_array_equal(IMAGE, before)
    assert not np.shares_memory(overlay, IMAGE)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5), (30, 2000), (2001, 1003)])
@pytest.mark.parametrize("legend", [True, False])
def test_any_image_size(size, legend):
    image = np.full((*size, 3), 99, np.uint8)
    overlay = draw_annotations(
        image, [mask_to_record(np.ones(size, bool), predicted_iou=0.9)], legend=legend
    )
    assert overlay.shape[0] >= size[0]
    assert overlay.shape[1] > size[1] if legend else overlay.shape == image.shape
    assert (overlay[: size[0], : size[1]] != 99).any(axis=2).all()


def test_legend_is_wider_with_categories():
    plain = draw_annotations(IMAGE, [rectangle(0, 30, 0, 30)])
    named = draw_annotations(IMAGE, [rectangle(0, 30, 0, 30, category="cat")])
    assert named.shape[1] > plain.shape[1]


def test_rows_are_sorted_by_score():
    """Only the digits are compared, because colors depend on the order of the records."""
    best = rectangle(10, 40, 10, 50, predicted_iou=0.9)
    worst = rectangle(50, 80, 60, 100, predicted_iou=0.5)
    first = draw_annotations(IMAGE, [best, worst])
    second = draw_annotations(IMAGE, [worst, best])
    digits = np.s_[:, 1130:]
    assert (first[digits] < 100).any()
    np.testing.assert_array_equal(first[digits], second[digits])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"image": None}, TypeError, "image"),
        ({"image": IMAGE[..., 0]}, ValueError, "image"),
        ({"records": [mask_to_record(np.ones((2, 2), bool))]}, ValueError, "size"),
        ({"records": [rectangle(0, 9, 0, 9, predicted_iou=np.nan)]}, ValueError, "finite"),
        ({"records": [None]}, TypeError, "record"),
    ],
)
def test_wrong_arguments_raise(given, error, message):
    with pytest.raises(error, match=message):
        draw_annotations(**({"image": IMAGE, "records": []} | given))
