"""Refined boundaries, against the paper's equations in plain loops and on a drawn image."""

import numpy as np
import pytest

from keras_sam.transforms.guided_filter import RADII, REGULARIZATION, GuidedFilterRefiner
from keras_sam.transforms.logits import BACKGROUND_LOGIT

REGION = slice(10, 31), slice(15, 36)


def filter_slowly(guide: np.ndarray, values: np.ndarray, radius: int) -> np.ndarray:
    """Equations 16, 17 and 14 of the paper, window by window."""
    height, width = values.shape
    slopes, offsets = np.empty((height, width, 3)), np.empty((height, width))

    def window(array: np.ndarray, row: int, column: int) -> np.ndarray:
        rows = slice(max(0, row - radius), row + radius + 1)
        return array[rows, max(0, column - radius) : column + radius + 1]

    for row, column in np.ndindex(height, width):
        colors = window(guide, row, column).reshape(-1, 3)
        inside = window(values, row, column).ravel()
        covariance = np.cov(colors.T, bias=True) + REGULARIZATION * np.eye(3)
        with_values = (colors * inside[:, None]).mean(0) - colors.mean(0) * inside.mean()
        slopes[row, column] = np.linalg.solve(covariance, with_values)
        offsets[row, column] = inside.mean() - slopes[row, column] @ colors.mean(0)
    filtered = np.empty((height, width))
    for row, column in np.ndindex(height, width):
        slope = window(slopes, row, column).reshape(-1, 3).mean(0)
        filtered[row, column] = slope @ guide[row, column] + window(offsets, row, column).mean()
    return filtered


def refine_slowly(
    pixels: np.ndarray, logits: np.ndarray, radius_ratio: float
) -> tuple[np.ndarray, list[int]]:
    """Filter three times, and return the probabilities `(h, w)` and the radii."""
    probabilities = 1 / (1 + np.exp(-logits.astype(float)))
    radii = []
    for _ in range(3):
        probabilities = np.clip(probabilities, 1e-4, 1 - 1e-4)
        radius = radius_ratio * np.sqrt(np.count_nonzero(probabilities > 0.5))
        radii.append(min(RADII, key=lambda size: abs(np.log(size) - np.log(radius))))
        probabilities = filter_slowly(pixels / 255, probabilities, radii[-1])
    return np.clip(probabilities, 1e-4, 1 - 1e-4), radii


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    """A disc `(40, 48)` bool."""
    rows, columns = np.mgrid[:40, :48]
    return (rows - 20) ** 2 + (columns - 24) ** 2 < 12**2


@pytest.fixture(scope="module")
def pixels(disc) -> np.ndarray:
    """An image `(40, 48, 3)` of the disc, with a little noise."""
    image = np.where(disc[..., None], [150.0, 90.0, 60.0], [120.0, 110.0, 80.0])
    noise = np.random.default_rng(0).normal(0, 4, image.shape)
    return (image + noise).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "radius", "expected_radii"),
    [
        pytest.param((16, 20), 3, {1}, id="small"),
        pytest.param((24, 28), 9, {3}, id="medium"),
        pytest.param((6, 120), 45, {4}, id="windows higher than the image"),
    ],
)
@pytest.mark.parametrize("is_gray", [False, True])
def test_probabilities_equal_those_of_the_paper(size, radius, expected_radii, is_gray):
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[: size[0], : size[1]]
    mask = (rows - size[0] // 2) ** 2 + (columns - size[1] // 2) ** 2 < radius**2
    if is_gray:  # fully correlated channels, far apart
        pixels = np.where(mask[..., None], 180, np.full(3, 30)).astype(np.uint8)
    else:
        pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    logits = (np.where(mask, 3, -3) + random.normal(0, 1, size)).astype(np.float32)
    expected, radii = refine_slowly(pixels, logits, 0.2)
    assert set(radii) == expected_radii
    refined = GuidedFilterRefiner(pixels).refine(logits).low_res_logits
    np.testing.assert_allclose(1 / (1 + np.exp(-refined.astype(float))), expected, atol=1e-3)


def test_windows_are_smaller_in_a_region():
    region = slice(2, 22), slice(3, 25)
    inside = np.zeros((24, 28), bool)
    inside[region] = True
    rows, columns = np.mgrid[:24, :28]
    mask = (rows - 12) ** 2 + (columns - 14) ** 2 < 9**2
    pixels = np.random.default_rng(0).integers(0, 256, (24, 28, 3), dtype=np.uint8)
    logits = np.where(mask, 3, -3).astype(np.float32)
    probabilities = 1 / (1 + np.exp(-logits.astype(float)))
    for _ in range(3):
        probabilities = np.where(inside, np.clip(probabilities, 1e-4, 1 - 1e-4), 0)
        # A radius of 2 cells; without a region, it would be 3.
        assert 0.12 * np.sqrt(np.count_nonzero(probabilities > 0.5)) == pytest.approx(2, abs=0.3)
        probabilities = filter_slowly(pixels / 255, probabilities, radius=2)
    expected = np.clip(probabilities, 1e-4, 1 - 1e-4)[region]
    refined = GuidedFilterRefiner(pixels).refine(logits, region=region).low_res_logits[region]
    np.testing.assert_allclose(1 / (1 + np.exp(-refined.astype(float))), expected, atol=1e-3)


def test_shifted_boundary_moves_to_the_edge_of_the_image(disc, pixels):
    logits = np.full((64, 64), -4.0, np.float32)
    logits[:40, :48] = np.where(np.roll(disc, (2, -2), (0, 1)), 4.0, -4.0)
    refined = GuidedFilterRefiner(pixels).refine(logits).low_res_logits
    before, after = (
        np.count_nonzero((values[:40, :48] > 0) ^ disc) for values in (logits, refined)
    )
    assert before > 80
    assert after < 0.25 * before
    assert refined.dtype == np.float32
    assert (refined[40:] == BACKGROUND_LOGIT).all()
    assert (refined[:, 48:] == BACKGROUND_LOGIT).all()
    assert np.abs(refined[:40, :48]).max() < 9.3


def test_refined_mask_stays_within_its_region(pixels):
    logits = np.full((40, 48), 3.0, np.float32)
    refined = GuidedFilterRefiner(pixels).refine(logits, region=REGION).low_res_logits
    assert (refined[REGION] > 0).any()
    refined[REGION] = BACKGROUND_LOGIT
    assert (refined == BACKGROUND_LOGIT).all()


@pytest.mark.parametrize("region", [None, REGION])
def test_empty_mask_is_returned_unchanged(pixels, region):
    logits = np.full((40, 48), -1.5, np.float32)
    refined = GuidedFilterRefiner(pixels).refine(logits, region=region)
    np.testing.assert_array_equal(refined.low_res_logits, logits)
    assert refined.foreground_confidence is None


def test_confidence_is_the_mean_probability_and_higher_for_a_mask_of_one_color(disc, pixels):
    refiner = GuidedFilterRefiner(pixels)
    noise = np.random.default_rng(2).normal(0, 1, disc.shape)
    confidences = []
    for mask in (disc, np.roll(disc, 10, 1)):  # one color, and two colors
        refined = refiner.refine((np.where(mask, 3.0, -3.0) + noise).astype(np.float32))
        inside = refined.low_res_logits[refined.low_res_logits > 0]
        mean = (1 / (1 + np.exp(-inside))).mean()
        assert refined.foreground_confidence == pytest.approx(mean, abs=1e-4)
        confidences.append(refined.foreground_confidence)
    assert 1 > confidences[0] > confidences[1] + 0.02 > 0.5


@pytest.mark.parametrize("region", [None, (slice(9, 15), slice(19, 25))])
def test_mask_of_a_few_cells_does_not_vanish(pixels, region):
    logits = np.full((40, 48), -9.0, np.float32)
    logits[10:13, 20:23] = 9.0
    refined = GuidedFilterRefiner(pixels).refine(logits, region=region)
    assert np.count_nonzero(refined.low_res_logits > 0) >= 5
    logits[12] = -9.0
    logits[:, 22] = -9.0
    refined = GuidedFilterRefiner(pixels).refine(logits, region=region)
    np.testing.assert_array_equal(refined.low_res_logits > 0, logits > 0)
    assert refined.foreground_confidence is None


@pytest.mark.parametrize("region", [None, (slice(0, 2), slice(0, 2))])
def test_extreme_logits_stay_finite(pixels, region):
    logits = np.full((40, 48), -200.0, np.float32)
    logits[10:30, 20:40] = 200.0
    logits[0, 0] = 200.0
    refined = GuidedFilterRefiner(pixels).refine(logits, region=region)
    assert np.isfinite(refined.low_res_logits).all()


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)]
)
def test_pixels_of_another_shape_or_dtype_raise(pixels):
    with pytest.raises(ValueError, match=r"uint8 of shape \(h, w, 3\), got ") as error:
        GuidedFilterRefiner(pixels)
    assert str(error.value).endswith(f"{pixels.dtype} {pixels.shape}")
