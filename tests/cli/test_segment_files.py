import json

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.mask_record import record_to_mask
from keras_sam.cli.prompts import BoxPrompt, ObjectPrompt, PointPrompt
from keras_sam.cli.segment_files import SegmentedObject, write_segments
from keras_sam.drawing.overlay import draw_overlay


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def masks(count):
    return np.random.default_rng(count).random((count, 20, 30)) < 0.4


def test_files_contain_the_masks_and_the_prompts(image, tmp_path):
    first = SegmentedObject(
        ObjectPrompt([PointPrompt(3, 4, 1)]), masks(3), np.array([0.9, 0.5, 0.1])
    )
    second = SegmentedObject(ObjectPrompt([], BoxPrompt(1, 2, 9, 8)), masks(1), np.array([0.75]))
    folder = tmp_path / "new" / "folder"
    record = write_segments(image, [first, second], folder, stem="a", metadata={"preset": "b"})
    assert record["preset"] == "b"
    assert [one["object"] for one in record["masks"]] == [0, 0, 0, 1]
    assert [one["predicted_iou"] for one in record["masks"]] == [0.9, 0.5, 0.1, 0.75]
    expected = [*first.masks, *second.masks]
    for one, mask in zip(record["masks"], expected, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(one["file"])) > 0, mask)
        np.testing.assert_array_equal(record_to_mask(one), mask)
    assert record["prompts"] == [
        {"points": [[3, 4, 1]], "box": None},
        {"points": [], "box": [1, 2, 9, 8]},
    ]
    assert json.loads((folder / "a_segments.json").read_text())["prompts"] == record["prompts"]
    overlay = draw_overlay(
        image,
        np.stack([first.masks[0], second.masks[0]]),
        points=[(3, 4)],
        labels=[1],
        boxes=[(1, 2, 9, 8)],
    )
    np.testing.assert_array_equal(np.asarray(Image.open(record["overlay"])), overlay)
