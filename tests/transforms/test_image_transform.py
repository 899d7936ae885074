"""The transform against plain loops and against PyTorch."""

import numpy as np
import pytest

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing

STRETCH = Preprocessing(resize="stretch")


def resize_slowly(values, size):
    """Bilinear between pixel centers, pixel by pixel."""
    out = np.zeros(size)
    for row, column in np.ndindex(*size):
        positions = [
            min(max((index + 0.5) * old / new - 0.5, 0), old - 1)
            for index, old, new in zip((row, column), values.shape, size, strict=True)
        ]
        low = [int(position) for position in positions]
        high = [min(index + 1, old - 1) for index, old in zip(low, values.shape, strict=True)]
        y, x = positions[0] - low[0], positions[1] - low[1]
        out[row, column] = (1 - y) * (
            (1 - x) * values[low[0], low[1]] + x * values[low[0], high[1]]
        ) + y * ((1 - x) * values[high[0], low[1]] + x * values[high[0], high[1]])
    return out


def resize_with_torch(values, size):
    import torch

    return torch.nn.functional.interpolate(
        torch.as_tensor(values), size, mode="bilinear", align_corners=False
    )


@pytest.mark.parametrize(
    "size", [None, 5, (4,), (4, 5, 3), (4.5, 5), ("4", "5"), (0, 5), (True, 5)]
)
def test_wrong_sizes_raise(size):
    with pytest.raises(ValueError, match=r"original_size must be \(height, width\)"):
        ImageTransform(size, (16, 16))
    with pytest.raises(ValueError, match=r"image_size must be \(height, width\)"):
        ImageTransform((16, 16), size)


def test_sizes_become_tuples_of_int():
    transform = ImageTransform([np.int64(4), 5], (16, 16))
    assert transform == ImageTransform((4, 5), (16, 16))
    assert [type(side) for side in transform.original_size] == [int, int]


@pytest.mark.parametrize(
    ("original", "image_size", "expected"),
    [
        ((321, 481), (1024, 1024), (683, 1024)),
        ((1, 3000), (64, 64), (1, 64)),
        ((3000, 1), (64, 64), (64, 1)),
        ((30, 20), (32, 16), (24, 16)),
        ((30, 47), (64, 64), (41, 64)),
        ((16, 16), (64, 64), (64, 64)),
    ],
)
def test_longest_side_fits_the_model_frame(original, image_size, expected):
    assert ImageTransform(original, image_size).input_size == expected
    assert ImageTransform(original, image_size, STRETCH).input_size == image_size


@pytest.mark.parametrize("original", [(13, 21), (40, 9), (1, 90), (16, 16), (31, 32)])
@pytest.mark.parametrize("low_res_size", [(4, 4), (16, 16), (8, 2)])
def test_low_res_input_size_counts_the_cells_with_image_content(original, low_res_size):
    transform = ImageTransform(original, (32, 32))
    height, width = transform.input_size
    rows, columns = low_res_size
    content = np.zeros((32, 32), bool)
    content[:height, :width] = True
    cells = content.reshape(rows, 32 // rows, columns, 32 // columns).any((1, 3))
    expected = np.count_nonzero(cells[:, 0]), np.count_nonzero(cells[0])
    assert transform.low_res_input_size(low_res_size) == expected


def test_image_is_padded_with_the_mean_color():
    image = np.full((8, 16, 3), 51, np.uint8)
    model_image = ImageTransform((8, 16), (32, 32)).apply_image(image)
    assert (model_image.shape, model_image.dtype) == ((32, 32, 3), np.float32)
    np.testing.assert_allclose(model_image[:16], 0.2, atol=1e-6)
    padding = np.broadcast_to([0.485, 0.456, 0.406], (16, 32, 3))
    np.testing.assert_allclose(model_image[16:], padding)


@pytest.mark.parametrize("image", [None, [[1]], "image.png"])
def test_image_that_is_no_array_raises(image):
    with pytest.raises(TypeError, match="image must be an array"):
        ImageTransform((8, 16), (32, 32)).apply_image(image)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 16), np.uint8),
        np.zeros((8, 16, 3)),
        np.zeros((16, 8, 3), np.uint8),
        np.zeros((8, 16, 4), np.uint8),
    ],
    ids=lambda image: f"{image.dtype}{image.shape}",
)
def test_image_of_another_shape_or_dtype_raises(image):
    with pytest.raises(ValueError, match=r"expected a uint8 image of shape \(8, 16, 3\)"):
        ImageTransform((8, 16), (32, 32)).apply_image(image)


def test_masks_are_1_where_at_least_half_of_a_pixel_is_covered():
    masks = np.random.default_rng(0).random((3, 32, 64)) < 0.5
    resized = ImageTransform((32, 64), (16, 16)).apply_masks(masks)
    assert (resized.shape, resized.dtype) == ((3, 16, 16), np.uint8)
    coverage = masks.reshape(3, 8, 4, 16, 4).mean((2, 4))
    assert (coverage == 0.5).any()
    np.testing.assert_array_equal(resized[:, :8], coverage >= 0.5)
    assert not resized[:, 8:].any()


@pytest.mark.parametrize("preprocessing", [Preprocessing(), STRETCH], ids=["padded", "stretched"])
def test_masks_are_resized_like_the_image(preprocessing):
    y, x = np.mgrid[:90, :150]
    mask = (y - 40) ** 2 / 30**2 + (x - 90) ** 2 / 50**2 < 1
    transform = ImageTransform((90, 150), (64, 64), preprocessing)
    image = np.where(mask, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=-1)
    height, width = transform.input_size
    expected = transform.apply_image(image)[:height, :width, 0] > 0.5
    resized = transform.apply_masks(mask[None].astype(np.uint8))[0]
    assert np.count_nonzero(resized[:height, :width] != expected) < 0.01 * expected.sum()
    assert resized.sum() == resized[:height, :width].sum()


def test_masks_of_the_model_size_stay_the_same():
    masks = np.random.default_rng(0).random((2, 16, 16)) < 0.5
    np.testing.assert_array_equal(ImageTransform((16, 16), (16, 16)).apply_masks(masks), masks)
    assert ImageTransform((4, 5), (16, 16)).apply_masks(np.zeros((0, 4, 5))).shape == (0, 16, 16)


@pytest.mark.parametrize("shape", [(4, 5), (1, 5, 4), (1, 4, 5, 1)])
def test_masks_of_another_size_raise(shape):
    with pytest.raises(ValueError, match=r"masks must have shape \(P, 4, 5\), got"):
        ImageTransform((4, 5), (16, 16)).apply_masks(np.zeros(shape, bool))


def test_points_are_scaled_and_scaled_back():
    transform = ImageTransform((45, 80), (64, 64))
    points = np.array([[3.5, 4.0], [80, 45]])
    np.testing.assert_allclose(transform.apply_points(points), points * 0.8, rtol=1e-6)
    np.testing.assert_allclose(transform.invert_points(points * 0.8), points, rtol=1e-6)
    assert transform.apply_points(points).dtype == np.float32
    assert transform.invert_points(points).dtype == np.float32


def test_points_and_boxes_of_stretched_images_are_scaled_by_axis():
    transform = ImageTransform((50, 200), (100, 100), STRETCH)
    np.testing.assert_allclose(transform.apply_points([[20, 10]]), [[10, 20]])
    np.testing.assert_allclose(transform.invert_points([[10, 20]]), [[20, 10]])
    np.testing.assert_allclose(transform.apply_boxes([20, 10, 200, 50]), [10, 20, 100, 100])
    np.testing.assert_allclose(transform.invert_boxes([10, 20, 100, 100]), [20, 10, 200, 50])


def test_boxes_of_any_leading_shape_are_pairs_of_points():
    transform = ImageTransform((45, 80), (64, 64))
    boxes = np.random.default_rng(0).uniform(0, 45, (2, 3, 4))
    moved = transform.apply_boxes(boxes)
    assert (moved.shape, moved.dtype) == ((2, 3, 4), np.float32)
    np.testing.assert_array_equal(moved[..., :2], transform.apply_points(boxes[..., :2]))
    np.testing.assert_array_equal(moved[..., 2:], transform.apply_points(boxes[..., 2:]))
    np.testing.assert_allclose(transform.invert_boxes(moved), boxes, rtol=1e-5)


@pytest.mark.parametrize("original", [(13, 21), (40, 9), (16, 16)])
def test_logits_are_resized_twice(original):
    transform = ImageTransform(original, (16, 16))
    low_res = np.random.default_rng(0).normal(size=(4, 4))
    height, width = transform.input_size
    expected = resize_slowly(resize_slowly(low_res, (16, 16))[:height, :width], original)
    np.testing.assert_allclose(transform.postprocess_logits(low_res), expected, atol=1e-5)
    masks = transform.postprocess_masks(np.stack([low_res, -low_res]))
    np.testing.assert_array_equal(masks[0], transform.postprocess_logits(low_res) > 0)


@pytest.mark.parametrize(
    "original", [(13, 21), (150, 97), (64, 64), (1, 90), (300, 3), (200, 260), (1999, 1333)]
)
def test_masks_equal_those_of_metas_postprocess_masks(original):
    transform = ImageTransform(original, (64, 64))
    low_res = np.random.default_rng(1).normal(size=(1, 2, 16, 16), scale=8).astype(np.float32)
    height, width = transform.input_size
    expected = resize_with_torch(low_res, transform.image_size)[..., :height, :width]
    expected = resize_with_torch(expected, transform.original_size).numpy()
    logits = transform.postprocess_logits(low_res)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=2e-5)
    masks = transform.postprocess_masks(low_res, threshold=0.5)
    assert masks.dtype == bool
    is_clear = np.abs(expected - 0.5) > 2e-5
    np.testing.assert_array_equal(masks[is_clear], (expected > 0.5)[is_clear])


def test_logits_of_stretched_images_are_resized_once():
    low_res = np.random.default_rng(1).normal(size=(1, 2, 8, 8)).astype(np.float32)
    transform = ImageTransform((30, 20), (32, 32), STRETCH)
    expected = resize_with_torch(low_res, (30, 20))
    np.testing.assert_allclose(transform.postprocess_logits(low_res), expected, atol=1e-5)


def test_low_res_grid_need_not_be_square():
    transform = ImageTransform((30, 20), (32, 16))
    low_res = np.random.default_rng(0).normal(size=(8, 4))
    height, width = transform.input_size
    expected = resize_slowly(resize_slowly(low_res, (32, 16))[:height, :width], (30, 20))
    np.testing.assert_allclose(transform.postprocess_logits(low_res), expected, atol=1e-5)


@pytest.mark.parametrize("upsample_in", ["logits", "probabilities"])
def test_sparse_masks_equal_their_logits(upsample_in):
    """Small, distant and empty masks, and one in the padding only."""
    transform = ImageTransform(
        (200, 330), (64, 64), postprocessing=Postprocessing(upsample_in=upsample_in)
    )
    low_res = np.full((4, 16, 16), -6, np.float32)
    low_res[0, 2, 3] = 4
    low_res[1, [0, 9], [15, 0]] = 9
    low_res[2, 13:] = 9  # the image has 10 rows of cells
    masks = transform.postprocess_masks(low_res)
    np.testing.assert_array_equal(masks, transform.postprocess_logits(low_res) > 0)
    assert masks.any(axis=(1, 2)).tolist() == [True, True, False, False]


def test_zero_masks_give_zero_masks():
    transform = ImageTransform((30, 20), (16, 16))
    assert transform.postprocess_logits(np.zeros((0, 4, 4))).shape == (0, 30, 20)
    assert transform.postprocess_masks(np.zeros((0, 4, 4))).shape == (0, 30, 20)


@pytest.mark.parametrize("logits", [np.zeros(4), np.zeros((0, 4)), 5, None], ids=repr)
def test_logits_without_a_grid_raise(logits):
    transform = ImageTransform((8, 16), (32, 32))
    with pytest.raises(ValueError, match="low_res_logits must have shape"):
        transform.postprocess_logits(logits)
    with pytest.raises(ValueError, match="low_res_logits must have shape"):
        transform.postprocess_masks(logits)


def test_bilinear_matrices_give_the_same_logits():
    transform = ImageTransform((30, 50), (32, 32))
    low_res = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    vertical, horizontal = transform.bilinear_matrices((8, 4))
    logits = vertical.weights @ low_res @ horizontal.weights.T
    np.testing.assert_allclose(logits, transform.postprocess_logits(low_res), atol=1e-5)
    assert transform.bilinear_matrices((4, 8))[0].weights.shape == (30, 4)


def test_interpolated_quantity_is_converted_and_converted_back():
    logits = np.linspace(-8, 8, 33, dtype=np.float32)
    by_logits = ImageTransform((4, 4), (8, 8))
    by_probabilities = ImageTransform(
        (4, 4), (8, 8), postprocessing=Postprocessing(upsample_in="probabilities")
    )
    np.testing.assert_array_equal(by_logits.to_interpolated(logits), logits)
    np.testing.assert_array_equal(by_logits.from_interpolated(logits), logits)
    probabilities = by_probabilities.to_interpolated(logits)
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), atol=1e-6)
    np.testing.assert_allclose(by_probabilities.from_interpolated(probabilities), logits, atol=1e-3)


def test_boxes_of_masks_are_as_exact_as_the_original():
    masks = np.zeros((2, 60, 90), bool)
    masks[0, 7:20, 11:44] = True
    boxes = ImageTransform((60, 90), (32, 48)).mask_boxes(masks)
    np.testing.assert_allclose(boxes[0], np.array([11, 7, 44, 20]) * 48 / 90, rtol=1e-6)
    assert boxes[1].tolist() == [0, 0, 0, 0]
    assert ImageTransform((60, 90), (32, 48)).mask_boxes(masks[:0]).shape == (0, 4)
