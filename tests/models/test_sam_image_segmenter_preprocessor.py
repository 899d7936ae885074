"""Raw images, prompts and masks to a segmenter's inputs."""

import keras
import numpy as np
import pytest

from keras_sam.models.sam_image_converter import SAMImageConverter
from keras_sam.models.sam_image_segmenter_preprocessor import SAMImageSegmenterPreprocessor
from keras_sam.point_labels import NOT_A_POINT, PADDING

# In a frame of 32 x 48, the first image is halved and the second one is doubled.
IMAGES = [np.full((64, 96, 3), 90, np.uint8), np.full((16, 24, 3), 200, np.uint8)]
POINTS = np.array([[[10, 20], [30, 40]], [[1, 2], [3, 4]]], "float32")
LABELS = np.array([[1, 0], [0, 1]])
BOXES = np.array([[[[8, 6], [20, 40]]], [[[1, 2], [3, 5]]]], "float32")
SCALES = np.array([0.5, 2])


def scaled(coordinates: np.ndarray) -> np.ndarray:
    return coordinates * SCALES.reshape(2, *[1] * (coordinates.ndim - 1))


@pytest.fixture(scope="module")
def preprocessor() -> SAMImageSegmenterPreprocessor:
    return SAMImageSegmenterPreprocessor(SAMImageConverter((32, 48)))


def test_images_are_converted(preprocessor):
    expected = preprocessor.image_converter(IMAGES)
    for x in (IMAGES, {"images": IMAGES}):
        found = preprocessor(x)
        assert list(found) == ["images"]
        np.testing.assert_array_equal(found["images"], expected)


def test_points_and_boxes_move_with_their_image(preprocessor):
    found = preprocessor({"images": IMAGES, "points": POINTS, "labels": LABELS, "boxes": BOXES})
    np.testing.assert_allclose(found["points"], scaled(POINTS))
    np.testing.assert_allclose(found["boxes"], scaled(BOXES))
    np.testing.assert_array_equal(found["labels"], LABELS)


def test_prompts_may_be_lists(preprocessor):
    prompts = {"points": POINTS, "labels": LABELS, "boxes": BOXES}
    lists = {name: value.tolist() for name, value in prompts.items()}
    expected, found = (
        preprocessor({"images": IMAGES} | prompts),
        preprocessor({"images": IMAGES} | lists),
    )
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_masks_pass_through(preprocessor):
    masks = np.random.default_rng(0).normal(size=(2, 1, 16, 24, 1))
    found = preprocessor({"images": IMAGES, "masks": masks})
    np.testing.assert_array_equal(found["masks"], masks)


@pytest.mark.parametrize("boxes", [None, np.zeros((2, 0, 2, 2)), np.full((2, 1, 2, 2), np.nan)])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32", "bool"])
def test_points_without_a_box_get_the_token_of_training(preprocessor, boxes, dtype):
    labels = LABELS.astype(dtype)
    found = preprocessor({"images": IMAGES, "points": POINTS, "labels": labels, "boxes": boxes})
    np.testing.assert_allclose(found["points"][:, :2], scaled(POINTS))
    np.testing.assert_array_equal(found["labels"], [[1, 0, NOT_A_POINT], [0, 1, NOT_A_POINT]])
    assert found["points"].shape == (2, 3, 2)


def test_labels_with_the_token_or_with_box_corners_stay(preprocessor):
    for labels in ([[1, NOT_A_POINT], [0, NOT_A_POINT]], [[2, 3], [2, 3]]):
        found = preprocessor({"images": IMAGES, "points": POINTS, "labels": labels})
        np.testing.assert_array_equal(found["labels"], labels)


def test_each_prompt_gets_the_token_only_if_it_lacks_a_box(preprocessor):
    nothing = [np.nan, np.nan]
    boxes = np.array([[[[8, 6], [20, 40]], [nothing, nothing]], [[nothing, nothing]] * 2])
    labels = [[[1, 1], [1, 0]], [[1, NOT_A_POINT], [PADDING, PADDING]]]
    points = np.stack([POINTS, POINTS], axis=1)
    found = preprocessor({"images": IMAGES, "points": points, "labels": labels, "boxes": boxes})
    expected = [[PADDING, NOT_A_POINT], [PADDING, PADDING]]
    np.testing.assert_array_equal(found["labels"][..., 2], expected)
    np.testing.assert_array_equal(found["labels"][..., :2], labels)


def test_prompts_without_points_get_no_token(preprocessor):
    found = preprocessor(
        {"images": IMAGES, "points": np.zeros((2, 3, 0, 2)), "labels": np.zeros((2, 3, 0))}
    )
    assert found["points"].shape == (2, 3, 0, 2)


def test_one_image_gets_a_batch_axis_with_its_prompts_and_masks(preprocessor):
    masks = np.zeros((3, 64, 96), bool)
    masks[1, :32, :48] = True
    x = {"images": IMAGES[0], "points": POINTS[0], "labels": LABELS[0], "boxes": BOXES[0]}
    batch = {name: [value] for name, value in x.items()}
    (found, y), (expected, expected_y) = preprocessor(x, masks), preprocessor(batch, [masks])
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
    np.testing.assert_array_equal(y["masks"], expected_y["masks"])
    assert y["masks"].shape == (1, 3, 32, 48)


def test_target_masks_are_resized_like_their_image(preprocessor):
    small = np.zeros((1, 16, 24), bool)
    small[0, 3:9, 5:11] = True
    large = np.zeros((2, 64, 96), np.uint8)
    large[0, 10:50, 20:80] = 1
    large[1, 2:4, 60:62] = 1
    for y in ([large, small], {"masks": [large, small]}):
        _, found = preprocessor(IMAGES, y)
        expected = np.zeros((2, 2, 32, 48), np.uint8)
        expected[0, 0, 5:25, 10:40] = 1
        expected[0, 1, 1:2, 30:31] = 1
        expected[1, 0, 6:18, 10:22] = 1  # and a mask of zeros, as padding
        np.testing.assert_array_equal(found["masks"], expected)


def test_target_boxes_are_those_of_the_original_masks(preprocessor):
    masks = np.zeros((2, 64, 96), bool)
    masks[0, 5:22, 7:50] = True
    boxes = preprocessor([np.zeros((64, 96, 3), np.uint8)], [masks])[1]["boxes"]
    np.testing.assert_allclose(boxes, [[[[3.5, 2.5], [25, 11]], [[0, 0], [0, 0]]]])


def test_images_without_masks_get_one_padding_mask(preprocessor):
    _, y = preprocessor(IMAGES, [np.zeros((0, *image.shape[:2]), bool) for image in IMAGES])
    np.testing.assert_array_equal(y["masks"], np.zeros((2, 1, 32, 48)))


def test_the_padding_of_an_image_is_background(preprocessor):
    _, y = preprocessor([np.zeros((20, 20, 3), np.uint8)], [np.ones((1, 20, 20), bool)])
    np.testing.assert_array_equal(y["masks"][0, 0], np.repeat([[1] * 32 + [0] * 16], 32, axis=0))


def test_sample_weights_pass_through(preprocessor):
    masks = [np.zeros((1, *image.shape[:2]), bool) for image in IMAGES]
    weight = np.array([1.0, 2.0])
    assert preprocessor(IMAGES, masks, weight)[2] is weight


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ({"points": POINTS, "labels": LABELS}, None, "must contain 'images'"),
        ({"images": IMAGES, "point": POINTS}, None, "unknown inputs"),
        ({"images": IMAGES, "boxes": BOXES[:1]}, None, "number of images"),
        ({"images": IMAGES, "boxes": BOXES[:, 0]}, None, "`boxes` must have shape"),
        ({"images": IMAGES, "points": POINTS}, None, "without `labels`"),
        ({"images": IMAGES, "points": POINTS, "labels": LABELS[:, :1]}, None, "`labels` must"),
        (
            {"images": IMAGES, "points": POINTS[:, None], "labels": LABELS[:, None]}
            | {"boxes": np.repeat(BOXES, 2, axis=1)},
            None,
            "disagree",
        ),
        (IMAGES, [np.zeros((1, 64, 96))], "with 2 images"),
        (IMAGES, {"labels": LABELS}, "with 2 images"),
        (IMAGES, [np.zeros((1, 64, 96)), np.zeros((1, 64, 96))], r"shape \(P, 16, 24\)"),
        (IMAGES, [np.zeros((64, 96)), np.zeros((16, 24))], "masks must have shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(preprocessor, x, y, message):
    with pytest.raises(ValueError, match=message):
        preprocessor(x, y)


def test_the_config_makes_the_same_preprocessor():
    converter = SAMImageConverter((32, 48), resize="stretch", normalization="unit")
    preprocessor = SAMImageSegmenterPreprocessor(converter, name="preprocessor")
    config = keras.saving.serialize_keras_object(preprocessor)
    again = keras.saving.deserialize_keras_object(config)
    assert again.name == "preprocessor"
    x = {"images": [np.arange(192, dtype=np.uint8).reshape(8, 8, 3)], "boxes": BOXES[:1]}
    for name, value in preprocessor(x).items():
        np.testing.assert_array_equal(again(x)[name], value)
