"""Outlines that are moved to the image's edges."""

import numpy as np
import pytest

from keras_sam.transforms.guided_filter import EDGE, GuidedFilterRefiner, _Filter
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.logits import OUTSIDE
from keras_sam.transforms.preprocessing import Preprocessing


def slow_guided_filter(guide: np.ndarray, values: np.ndarray, radius: int) -> np.ndarray:
    """Equations 16, 17 and 14 of the paper, window by window."""
    height, width = values.shape
    slopes, offsets = np.empty((height, width, 3)), np.empty((height, width))

    def window(array: np.ndarray, row: int, column: int) -> np.ndarray:
        rows = slice(max(0, row - radius), row + radius + 1)
        return array[rows, max(0, column - radius) : column + radius + 1]

    for row, column in np.ndindex(height, width):
        colors = window(guide, row, column).reshape(-1, 3)
        inside = window(values, row, column).ravel()
        covariance = np.cov(colors.T, bias=True) + EDGE * np.eye(3)
        with_values = (colors * inside[:, None]).mean(0) - colors.mean(0) * inside.mean()
        slopes[row, column] = np.linalg.solve(covariance, with_values)
        offsets[row, column] = inside.mean() - slopes[row, column] @ colors.mean(0)
    filtered = np.empty((height, width))
    for row, column in np.ndindex(height, width):
        slope = window(slopes, row, column).reshape(-1, 3).mean(0)
        filtered[row, column] = slope @ guide[row, column] + window(offsets, row, column).mean()
    return filtered


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    """A disc `(40, 48)` bool."""
    rows, columns = np.mgrid[:40, :48]
    return (rows - 20) ** 2 + (columns - 24) ** 2 < 12**2


@pytest.fixture(scope="module")
def pixels(disc) -> np.ndarray:
    """A picture of it with a little noise, `(40, 48, 3)`."""
    picture = np.where(disc[..., None], [150.0, 90.0, 60.0], [120.0, 110.0, 80.0])
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return (picture + noise).astype(np.uint8)


@pytest.mark.parametrize("radius", [1, 3, 16])
@pytest.mark.parametrize("is_gray", [False, True])
def test_the_filter_is_that_of_the_paper(disc, pixels, radius, is_gray):
    if is_gray:  # colors that vary as one, far apart
        pixels = np.where(disc[..., None], 180, np.full(3, 30)).astype(np.uint8)
    values = np.random.default_rng(1).random((40, 48)).astype(np.float32)
    guide = pixels.astype(np.float64) / 255
    expected = slow_guided_filter(guide, values, radius)
    np.testing.assert_allclose(_Filter(pixels, radius)(values), expected, atol=2e-4)


def test_a_shifted_outline_moves_to_the_edge(disc, pixels):
    logits = np.full((64, 64), -4.0, np.float32)
    logits[:40, :48] = np.where(np.roll(disc, (2, -2), (0, 1)), 4.0, -4.0)
    refined = GuidedFilterRefiner(pixels, (80, 96)).refined(logits).low_res_logits
    wrong = [np.count_nonzero((one[:40, :48] > 0) ^ disc) for one in (logits, refined)]
    assert wrong[0] > 80
    assert wrong[1] < 0.25 * wrong[0]
    assert refined.dtype == np.float32
    assert (refined[40:] == OUTSIDE).all()
    assert (refined[:, 48:] == OUTSIDE).all()
    assert np.abs(refined[:40, :48]).max() < 9.3


def test_a_mask_stays_within_its_window(disc, pixels):
    logits = np.where(np.ones((40, 48), bool), 3.0, 0.0).astype(np.float32)
    within = slice(20, 60), slice(30, 70)  # of an original twice as large
    refined = GuidedFilterRefiner(pixels, (80, 96)).refined(logits, within=within).low_res_logits
    rows, columns = np.nonzero(refined > 0)
    assert rows.min() >= 10
    assert rows.max() <= 30
    assert columns.min() >= 15
    assert columns.max() <= 35
    assert (refined[:10] == OUTSIDE).all()


def test_an_empty_mask_stays_as_it_is(pixels):
    logits = np.full((40, 48), -1.5, np.float32)
    outlined = GuidedFilterRefiner(pixels, (40, 48)).refined(logits)
    np.testing.assert_array_equal(outlined.low_res_logits, logits)
    assert outlined.support is None


def test_support_tells_how_surely_colors_say_what_is_inside(disc, pixels):
    guide = GuidedFilterRefiner(pixels, (40, 48))
    noise = np.random.default_rng(2).normal(0, 1, disc.shape)
    supports = []
    for mask in (disc, np.roll(disc, 10, 1)):  # of one color, and of two
        outlined = guide.refined((np.where(mask, 3.0, -3.0) + noise).astype(np.float32))
        inside = outlined.low_res_logits[outlined.low_res_logits > 0]
        assert outlined.support == pytest.approx((1 / (1 + np.exp(-inside))).mean(), abs=1e-4)
        supports.append(outlined.support)
    assert 1 > supports[0] > supports[1] + 0.02 > 0.5


def test_pixels_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"uint8 of shape \(h, w, 3\), got float64 \(4, 4\)"):
        GuidedFilterRefiner(np.zeros((4, 4)), (4, 4))


def test_a_frame_makes_the_guide_from_what_the_model_sees():
    image = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    frame = ImageTransform((20, 31), (32, 32), Preprocessing(outlines="image"))
    model_image = frame.apply_image(image)
    guide = frame.outline_guide(model_image, (16, 16))
    assert guide is not None
    height, width = frame.input_size
    assert guide.pixels.shape == (-(-height // 2), -(-width // 2), 3)
    expected = model_image[4:6, 8:10].mean((0, 1)) * 255
    np.testing.assert_allclose(guide.pixels[2, 4], expected, atol=0.51)
    assert ImageTransform((20, 31), (32, 32)).outline_guide(model_image, (16, 16)) is None


def test_a_mask_of_a_few_cells_does_not_melt_away(pixels):
    logits = np.full((40, 48), -9.0, np.float32)
    logits[10:13, 20:23] = 9.0
    for within in (None, (slice(18, 28), slice(38, 48))):
        refined = (
            GuidedFilterRefiner(pixels, (80, 96)).refined(logits, within=within).low_res_logits
        )
        assert np.count_nonzero(refined > 0) >= 5
    logits[12] = -9.0
    logits[:, 22] = -9.0
    outlined = GuidedFilterRefiner(pixels, (80, 96)).refined(logits)
    np.testing.assert_array_equal(outlined.low_res_logits > 0, logits > 0)
    assert outlined.support is None


def test_certain_logits_stay_finite(pixels):
    logits = np.full((40, 48), -200.0, np.float32)
    logits[10:30, 20:40] = 200.0
    logits[0, 0] = 200.0
    for within in (None, (slice(0, 2), slice(0, 2))):
        refined = (
            GuidedFilterRefiner(pixels, (80, 96)).refined(logits, within=within).low_res_logits
        )
        assert np.isfinite(refined).all()
