"""COCO annotations, read as pycocotools reads them."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from keras_sam.annotations.coco import CocoAnnotation, read_coco
from keras_sam.masks.coco_rle import mask_to_coco_rle

IMAGE = {"id": 7, "file_name": "folder/a.png", "height": 6, "width": 9}
TRIANGLE = [1.0, 1.0, 8.0, 1.5, 3.0, 5.5]


@pytest.fixture
def write(tmp_path):
    def write_content(images, annotations):
        path = tmp_path / "notes.json"
        path.write_text(json.dumps({"images": images, "annotations": annotations}))
        return path

    return write_content


def annotation(segmentation, **changes):
    return {"id": 1, "image_id": 7, "segmentation": segmentation} | changes


def mask_of(segmentation, size=(6, 9)):
    return CocoAnnotation(1, size, segmentation).mask()


def test_annotations_go_to_their_images(write):
    other = IMAGE | {"id": 8, "file_name": "b.png"}
    notes = [annotation([TRIANGLE], id=3, image_id=8), annotation([TRIANGLE], id=4, image_id=8)]
    first, second = read_coco(write([IMAGE, other], notes)).images
    assert (first.id, first.file_name, first.size) == (7, "folder/a.png", (6, 9))
    assert first.annotations == ()
    assert [note.id for note in second.annotations] == [3, 4]


def test_each_form_of_segmentation_is_decoded(write):
    expected = coco_mask.decode(coco_mask.frPyObjects([TRIANGLE], 6, 9))[..., 0].astype(bool)
    runs = np.diff(
        np.flatnonzero(np.diff(np.concatenate([[2], expected.T.ravel(), [2]]))), prepend=0
    )
    notes = [
        annotation([TRIANGLE]),
        annotation(mask_to_coco_rle(expected)),
        annotation({"size": [6, 9], "counts": runs[1:].tolist()}),
    ]
    for note in read_coco(write([IMAGE], notes)).images[0].annotations:
        np.testing.assert_array_equal(note.mask(), expected)


def test_polygons_are_cut_off_at_the_border():
    """A corner outside bends no side: clamped, it would."""
    polygon = [-20.0, 3.0, 4.0, -9.0, 30.0, 4.0]
    expected = coco_mask.decode(coco_mask.frPyObjects([polygon], 6, 9))[..., 0]
    assert 0 < expected.sum() < 54
    np.testing.assert_array_equal(mask_of([polygon]), expected.astype(bool))


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "RLE or a list of polygons, got None"),
        (5, "RLE or a list of polygons, got 5"),
        ([], "RLE or a list of polygons"),
        ("abc", "RLE or a list of polygons"),
        ([None], "three points or more, got None"),
        ([[1, 2, 3, 4]], "three points or more"),
        ([[1, 2, 3, 4, 5, 6, 7]], "three points or more"),
        ([[1, 2, 3, 4, 5, "6"]], "three points or more"),
        ([[1, 2, 3, 4, 5, None]], "three points or more"),
        ([[[1, 2], [3, 4], [5, 6]]], "three points or more"),
        ([[1, 2, 3, 4, 5, float("nan")]], "finite"),
        ([[1, 2, 3, 4, 5, 1e30]], "at most"),
        ([[1, 2, 3, 4, 5, 10**400]], "finite"),
        ({}, "size"),
        ({"size": [6, 9]}, "counts"),
        ({"size": None, "counts": [54]}, "size"),
        ({"size": ["6", "9"], "counts": [54]}, "size"),
        ({"size": "69", "counts": [54]}, "size"),
        ({"size": 6, "counts": [54]}, "size"),
        ({"size": [9, 6], "counts": [54]}, "size"),
        ({"size": [6, 9], "counts": None}, "counts"),
        ({"size": [6, 9], "counts": {}}, "counts"),
        ({"size": [6, 9], "counts": [[54]]}, "counts"),
        ({"size": [6, 9], "counts": ["54"]}, "counts"),
        ({"size": [6, 9], "counts": [54.0]}, "counts"),
        ({"size": [6, 9], "counts": [10**30]}, "counts"),
        ({"size": [6, 9], "counts": [53]}, "counts"),
        ({"size": [6, 9], "counts": []}, "counts"),
    ],
)
def test_malformed_segmentations_are_refused(segmentation, message):
    with pytest.raises(ValueError, match=f"annotation 1: .*{message}"):
        mask_of(segmentation)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": "6"}, "whole pixels"),
        ({"height": 6.0}, "whole pixels"),
        ({"width": 0}, "whole pixels"),
        ({"width": True}, "whole pixels"),
        ({"width": None}, "whole pixels"),
        ({"height": 99_999, "width": 99_999}, "200000000 allowed"),
        ({"id": [7]}, "whole number"),
        ({"id": None}, "whole number"),
        ({"file_name": "../a.png"}, "below the folder"),
        ({"file_name": "C:\\a.png"}, "below the folder"),
        ({"file_name": "/a.png"}, "below the folder"),
        ({"file_name": 5}, "must be a path"),
    ],
)
def test_malformed_images_are_refused(write, changes, message):
    with pytest.raises(ValueError, match=message):
        read_coco(write([IMAGE | changes], []))


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (annotation([], image_id=5), "missing"),
        (annotation([], image_id={}), "whole number"),
        (annotation([], id=[]), "whole number"),
        ({"id": 1}, "lacks image_id, segmentation"),
        (None, "lacks id"),
    ],
)
def test_malformed_annotations_are_refused(write, note, message):
    with pytest.raises(ValueError, match=message):
        read_coco(write([IMAGE], [note]))


def test_the_bound_on_pixels_can_be_set(write):
    path = write([IMAGE], [])
    assert len(read_coco(path, max_pixels=54).images) == 1
    with pytest.raises(ValueError, match="9 x 6 pixels, more than the 53 allowed"):
        read_coco(path, max_pixels=53)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": {}, "annotations": []}', "\xff"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "notes.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"notes\.json is not"):
        read_coco(path)


def test_two_images_of_one_id_and_no_file_are_refused(write, tmp_path):
    with pytest.raises(ValueError, match="two images"):
        read_coco(write([IMAGE, IMAGE], []))
    with pytest.raises(FileNotFoundError):
        read_coco(tmp_path / "none.json")
    for path in (None, 5):
        with pytest.raises(TypeError, match="path must be"):
            read_coco(path)


def test_records_have_the_scores_and_the_category_of_the_file(tmp_path):
    notes = [
        annotation([TRIANGLE], category_id=2, predicted_iou=0.5, score=0.1),
        annotation([TRIANGLE], id=2, category_id=9),
        annotation([TRIANGLE], id=3),
    ]
    path = tmp_path / "notes.json"
    content = {
        "images": [IMAGE],
        "annotations": notes,
        "categories": [{"id": 2, "name": "dog", "supercategory": "animal"}],
    }
    path.write_text(json.dumps(content))
    first, second, third = read_coco(path).images[0].records()
    assert (first["category"], first["predicted_iou"]) == ("dog", 0.5)
    assert "score" not in first
    assert second == third
    assert sorted(second) == ["area", "bbox", "segmentation"]


@pytest.mark.parametrize(
    "scores",
    [
        {"predicted_iou": "high"},
        {"stability_score": [1]},
        {"point_coords": [[1], [1, 2]]},
        {"crop_box": 10**400},
    ],
    ids=lambda scores: next(iter(scores)),
)
def test_malformed_scores_are_refused(write, scores):
    (image,) = read_coco(write([IMAGE], [annotation([TRIANGLE], **scores)])).images
    assert image.annotations[0].mask().any()
    with pytest.raises(ValueError, match="annotation 1: "):
        image.records()


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ({}, "must be a list"),
        ([None], "lacks id, name"),
        ([{"id": "1", "name": "a"}], "whole number"),
        ([{"id": 1, "name": 5}], "must be a text"),
    ],
)
def test_malformed_categories_are_refused(tmp_path, categories, message):
    path = tmp_path / "notes.json"
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    with pytest.raises(ValueError, match=message):
        read_coco(path)


def test_a_malformed_category_of_an_annotation_is_refused(tmp_path):
    path = tmp_path / "notes.json"
    content = {
        "images": [IMAGE],
        "annotations": [annotation([TRIANGLE], category_id=[1])],
        "categories": [{"id": 1, "name": "a"}],
    }
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="category_id of annotation 1"):
        read_coco(path)
