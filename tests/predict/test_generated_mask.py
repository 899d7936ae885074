"""Generated masks against the mask rendered at full size, and pycocotools."""

from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco

from keras_sam.predict.crops import Crop
from keras_sam.predict.generated_mask import GeneratedMask
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor

SIZE = (40, 60)
CROP = Crop((8, 4, 52, 37), 1)


def low_res_logits(radius=4.0):
    """A disc with a hole, in a grid of 16 x 16 cells."""
    y, x = np.mgrid[:16, :16]
    distance = np.hypot(y - 5.2, x - 7.4)
    return np.minimum(radius - distance, distance - 1.4).astype(np.float32)


def generated_mask(logits):
    transform = ImageTransform(CROP.size, (64, 64))
    postprocessor = MaskPostprocessor(transform, (16, 16))
    return GeneratedMask(
        crop=CROP,
        original_size=SIZE,
        low_res=postprocessor.compute_box_and_stability(logits),
        predicted_iou=0.8,
        point=(30.5, 20.25),
        postprocessor=postprocessor,
    )


def full_size_mask(logits):
    x0, y0, x1, y1 = CROP.box
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = ImageTransform(CROP.size, (64, 64)).postprocess_masks(logits)
    return mask


def decode(rle):
    return coco.decode(rle).astype(bool)


@pytest.fixture
def mask():
    return generated_mask(low_res_logits())


def test_pixels_of_a_mask(mask):
    expected = full_size_mask(low_res_logits())
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(mask.to_mask(), expected)
    np.testing.assert_array_equal(decode(mask.to_rle()), expected)
    y, x = np.nonzero(expected)
    assert mask.box == (x.min(), y.min(), x.max(), y.max())


def test_record_has_metas_keys_and_formats(mask):
    expected = full_size_mask(low_res_logits())
    y, x = np.nonzero(expected)
    record = mask.to_record("binary_mask")
    np.testing.assert_array_equal(record.pop("segmentation"), expected)
    assert record == {
        "area": expected.sum(),
        "bbox": [x.min(), y.min(), np.ptp(x), np.ptp(y)],
        "predicted_iou": 0.8,
        "point_coords": [[30.5, 20.25]],
        "stability_score": mask.low_res.stability_score,
        "crop_box": [8, 4, 44, 33],
    }


def test_output_modes_contain_the_same_mask(mask):
    expected = full_size_mask(low_res_logits())
    compressed = mask.to_record("coco_rle")
    np.testing.assert_array_equal(decode(compressed["segmentation"]), expected)
    uncompressed = mask.to_record("uncompressed_rle")
    counts = uncompressed["segmentation"]["counts"]
    pixels = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    np.testing.assert_array_equal(pixels.reshape(SIZE[::-1]).T, expected)
    assert compressed["area"] == uncompressed["area"] == expected.sum()


def test_compressed_mask_is_the_same_without_logits(mask):
    compressed = mask.compressed()
    assert compressed.nbytes == 0 < mask.nbytes
    np.testing.assert_array_equal(compressed.to_mask(), mask.to_mask())
    for output_mode in ("uncompressed_rle", "coco_rle"):
        assert compressed.to_record(output_mode) == mask.to_record(output_mode)


def test_pixels_can_be_replaced(mask):
    pixels = np.zeros(SIZE, bool)
    pixels[10:20, 12:30] = True
    replaced = mask.with_mask(pixels)
    np.testing.assert_array_equal(replaced.to_mask(), pixels)
    record = replaced.to_record("coco_rle")
    assert (record["area"], record["bbox"]) == (180, [12, 10, 17, 9])
    assert record["crop_box"] == [8, 4, 44, 33]
    assert record["stability_score"] == mask.low_res.stability_score
    assert mask.to_record("coco_rle")["area"] == full_size_mask(low_res_logits()).sum()


def test_box_of_an_empty_mask_is_the_corner_of_the_crop(mask):
    empty = generated_mask(low_res_logits(radius=-1.0))
    for result in (empty, mask.with_mask(np.zeros(SIZE, bool))):
        assert result.box == (8, 4, 8, 4)
        assert not result.to_mask().any()
        assert result.to_record("coco_rle")["area"] == 0


def test_mask_without_logits_and_rle_raises(mask):
    with pytest.raises(ValueError, match="needs an rle or a postprocessor"):
        replace(mask, postprocessor=None).to_mask()
