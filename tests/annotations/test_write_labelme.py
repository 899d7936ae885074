"""LabelMe files there and back."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from keras_sam.annotations.labelme import read_labelme
from keras_sam.annotations.record import AnnotatedImage, mask_to_record
from keras_sam.annotations.write_labelme import FORMATS, write_labelme

SCORES = {"predicted_iou": 0.1 + 0.2, "point_coords": [[1.5, 2.0]], "stability_score": 1 / 3}
MASK = np.random.default_rng(0).random((6, 9)) < 0.5


def image_of(*records):
    return AnnotatedImage("../photos/ä.png", (6, 9), list(records))


@pytest.mark.parametrize("form", FORMATS)
def test_records_come_back_exactly(tmp_path, form):
    image = image_of(
        mask_to_record(MASK, **SCORES),
        mask_to_record(MASK, category="chair"),
        mask_to_record(~MASK),
    )
    write_labelme(image, tmp_path / "ä.json", form=form)
    assert read_labelme(tmp_path / "ä.json") == image


@given(mask=arrays.arrays(bool, (6, 9)), form=st.sampled_from(FORMATS))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_mask_comes_back(tmp_path, mask, form):
    image = image_of(mask_to_record(mask, **SCORES))
    write_labelme(image, tmp_path / "a.json", form=form)
    assert list(read_labelme(tmp_path / "a.json").records) == list(image.records)[: int(mask.any())]


def test_the_file_is_what_labelme_expects(tmp_path):
    write_labelme(image_of(mask_to_record(MASK)), tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert (content["imageHeight"], content["imageWidth"]) == (6, 9)
    assert content["imageData"] is None
    assert content["imagePath"] == "../photos/ä.png"
    assert {shape["group_id"] for shape in content["shapes"]} == {0}
    assert {shape["shape_type"] for shape in content["shapes"]} == {"polygon"}
    for shape in content["shapes"]:
        assert all(isinstance(value, float) for point in shape["points"] for value in point)


def test_a_mask_shape_is_a_png_of_its_box(tmp_path):
    mask = np.zeros((6, 9), bool)
    mask[2:4, 3:8] = True
    write_labelme(image_of(mask_to_record(mask)), tmp_path / "a.json", form="masks")
    (shape,) = json.loads((tmp_path / "a.json").read_text())["shapes"]
    assert (shape["shape_type"], shape["group_id"]) == ("mask", None)
    assert shape["points"] == [[3, 2], [7, 3]]
    with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (5, 2))
        assert np.array(picture).all()


def test_no_records_and_an_unknown_form(tmp_path):
    write_labelme(image_of(), tmp_path / "a.json")
    assert read_labelme(tmp_path / "a.json") == image_of()
    with pytest.raises(ValueError, match="form"):
        write_labelme(image_of(), tmp_path / "a.json", form="lines")
