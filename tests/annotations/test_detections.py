"""Conversion to `supervision`, replaced by a stand-in that checks what `Detections` checks."""

import sys
import types
from dataclasses import dataclass, field

import numpy as np
import pytest

from keras_sam.annotations.detections import records_to_detections
from keras_sam.annotations.mask_record import mask_to_record

MASK = np.zeros((3, 4), bool)
MASK[1, 1:3] = True
RECORDS = [
    mask_to_record(MASK, predicted_iou=0.5, stability_score=0.75),
    mask_to_record(~MASK, predicted_iou=0.25, stability_score=1, category="cat"),
]


@dataclass
class Detections:
    xyxy: np.ndarray
    mask: np.ndarray | None = None
    confidence: np.ndarray | None = None
    class_id: np.ndarray | None = None
    tracker_id: np.ndarray | None = None
    data: dict = field(default_factory=dict)
    metadata: dict = field(default_factory=dict)

    def __post_init__(self):
        count = len(self.xyxy)
        assert self.xyxy.shape == (count, 4)
        assert self.mask.shape[0] == count
        assert self.mask.ndim == 3
        for values in (self.confidence, self.class_id, self.tracker_id):
            assert values is None or values.shape == (count,)
        assert all(len(values) == count for values in self.data.values())


@pytest.fixture
def supervision(monkeypatch):
    module = types.ModuleType("supervision")
    module.Detections = Detections
    monkeypatch.setitem(sys.modules, "supervision", module)


@pytest.mark.usefixtures("supervision")
def test_all_fields_are_set():
    detections = records_to_detections(RECORDS, (3, 4))
    assert detections.xyxy.tolist() == [[1, 1, 3, 2], [0, 0, 4, 3]]
    np.testing.assert_array_equal(detections.mask, [MASK, ~MASK])
    assert detections.confidence.tolist() == [0.5, 0.25]
    assert detections.class_id.tolist() == [0, 1]
    assert detections.data["class_name"].tolist() == ["object", "cat"]
    assert detections.data["stability_score"].tolist() == [0.75, 1]
    assert sorted(detections.data) == ["area", "bbox", "class_name", "stability_score"]


@pytest.mark.usefixtures("supervision")
def test_score_that_a_record_lacks_is_omitted():
    detections = records_to_detections([*RECORDS, mask_to_record(MASK)], (3, 4))
    assert detections.confidence is None
    assert sorted(detections.data) == ["area", "bbox", "class_name"]


@pytest.mark.usefixtures("supervision")
def test_no_records():
    detections = records_to_detections([], (3, 4))
    assert (detections.xyxy.shape, detections.mask.shape) == ((0, 4), (0, 3, 4))
    assert (detections.confidence.shape, detections.class_id.dtype.kind) == ((0,), "i")


def test_missing_supervision_raises_with_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match="pip install supervision"):
        records_to_detections(RECORDS, (3, 4))
