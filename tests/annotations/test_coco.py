"""COCO annotations, checked with pycocotools."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from keras_sam.annotations.coco import SEGMENTATION_FORMATS, CocoAnnotation, read_coco, write_coco
from keras_sam.annotations.mask_record import AnnotatedImage, mask_to_record
from keras_sam.masks.coco_rle import mask_to_coco_rle

IMAGE = {"id": 7, "file_name": "folder/a.png", "height": 6, "width": 9}
TRIANGLE = [1.0, 1.0, 8.0, 1.5, 3.0, 5.5]

RANDOM = np.random.default_rng(0)
SCORES = {
    "predicted_iou": 0.1 + 0.2,
    "point_coords": [[1.5, 2.0]],
    "stability_score": 1 / 3,
    "crop_box": [0.0, 0.0, 9.0, 6.0],
}
RECORDS = [
    mask_to_record(RANDOM.random((6, 9)) < 0.5, **SCORES),
    mask_to_record(np.zeros((6, 9), bool)),
    mask_to_record(np.ones((6, 9), bool), category="sky"),
]
IMAGES = [
    AnnotatedImage("a.png", (6, 9), RECORDS),
    AnnotatedImage("folder/b.png", (3, 4)),
    AnnotatedImage("c.png", (6, 9), RECORDS[::-1]),
]


@pytest.fixture
def write_json(tmp_path):
    def write_content(images, annotations, **content):
        path = tmp_path / "annotations.json"
        content |= {"images": images, "annotations": annotations}
        path.write_text(json.dumps(content))
        return path

    return write_content


def annotation(segmentation, **changes):
    return {"id": 1, "image_id": 7, "segmentation": segmentation} | changes


def decode(segmentation, size=(6, 9)):
    return CocoAnnotation(1, size, segmentation).mask()


def test_annotations_are_grouped_by_image(write_json):
    second_image = IMAGE | {"id": 8, "file_name": "b.png"}
    annotations = [
        annotation([TRIANGLE], id=3, image_id=8),
        annotation([TRIANGLE], id=4, image_id=8),
    ]
    first, second = read_coco(write_json([IMAGE, second_image], annotations)).images
    assert (first.id, first.file_name, first.size) == (7, "folder/a.png", (6, 9))
    assert first.annotations == ()
    assert [annotation.id for annotation in second.annotations] == [3, 4]


def test_polygons_and_both_kinds_of_rle_decode_to_the_same_mask(write_json):
    expected = coco_mask.decode(coco_mask.frPyObjects([TRIANGLE], 6, 9))[..., 0].astype(bool)
    run_ends = np.flatnonzero(np.diff(np.concatenate([[2], expected.T.ravel(), [2]])))
    counts = np.diff(run_ends).tolist()  # the first pixel is background
    annotations = [
        annotation([TRIANGLE]),
        annotation(mask_to_coco_rle(expected)),
        annotation({"size": [6, 9], "counts": counts}),
    ]
    (image,) = read_coco(write_json([IMAGE], annotations)).images
    assert len(image.annotations) == 3
    for item in image.annotations:
        np.testing.assert_array_equal(item.mask(), expected)


def test_polygons_are_clipped_to_the_image():
    """Moving outside corners to the border would change the slope of the sides."""
    polygon = [-20.0, 3.0, 4.0, -9.0, 30.0, 4.0]
    expected = coco_mask.decode(coco_mask.frPyObjects([polygon], 6, 9))[..., 0]
    assert 0 < expected.sum() < 54
    np.testing.assert_array_equal(decode([polygon]), expected.astype(bool))


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "RLE or a list of polygons, got None"),
        (5, "RLE or a list of polygons, got 5"),
        ([], "RLE or a list of polygons"),
        ("abc", "RLE or a list of polygons"),
        ([None], "at least three points, got None"),
        ([[1, 2, 3, 4]], "at least three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "at least three points"),
        ([[1, 2, 3, 4, 5, "6"]], "at least three points"),
        ([[1, 2, 3, 4, 5, None]], "at least three points"),
        ([[1, 2, 3, 4, 5, True]], "at least three points"),
        ([[[1, 2], [3, 4], [5, 6]]], "at least three points"),
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
def test_malformed_segmentation_raises(segmentation, message):
    with pytest.raises(ValueError, match=f"annotation 1: .*{message}"):
        decode(segmentation)


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
        ({"file_name": "../a.png"}, "inside the image folder"),
        ({"file_name": "C:\\a.png"}, "inside the image folder"),
        ({"file_name": "/a.png"}, "inside the image folder"),
        ({"file_name": 5}, "must be a path"),
    ],
)
def test_malformed_image_raises(write_json, changes, message):
    with pytest.raises(ValueError, match=message):
        read_coco(write_json([IMAGE | changes], []))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (annotation([], image_id=5), "belongs to image 5, which is missing"),
        (annotation([], image_id={}), "whole number"),
        (annotation([], id=[]), "whole number"),
        ({"id": 1}, "lacks image_id, segmentation"),
        (None, "lacks id"),
    ],
)
def test_malformed_annotation_raises(write_json, entry, message):
    with pytest.raises(ValueError, match=message):
        read_coco(write_json([IMAGE], [entry]))


def test_image_above_max_pixels_raises(write_json):
    path = write_json([IMAGE], [])
    assert len(read_coco(path, max_pixels=54).images) == 1
    with pytest.raises(ValueError, match="9 x 6 pixels, more than the 53 allowed"):
        read_coco(path, max_pixels=53)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": {}, "annotations": []}', "\xff"])
def test_other_file_raises(tmp_path, content):
    path = tmp_path / "annotations.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"annotations\.json is not"):
        read_coco(path)


def test_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_coco(tmp_path / "none.json")


@pytest.mark.parametrize("path", [None, 5])
def test_wrong_path_type_raises(path):
    with pytest.raises(TypeError, match="path must be"):
        read_coco(path)


def test_duplicate_image_id_raises(write_json):
    with pytest.raises(ValueError, match="two images with id 7"):
        read_coco(write_json([IMAGE, IMAGE], []))


def test_records_have_scores_and_category(write_json):
    annotations = [
        annotation([TRIANGLE], category_id=2, predicted_iou=0.5, score=0.1),
        annotation([TRIANGLE], id=2, category_id=9),
        annotation([TRIANGLE], id=3),
    ]
    categories = [{"id": 2, "name": "dog", "supercategory": "animal"}]
    (image,) = read_coco(write_json([IMAGE], annotations, categories=categories)).images
    first, second, third = image.records()
    assert (first["category"], first["predicted_iou"]) == ("dog", 0.5)
    assert "score" not in first
    assert image.annotations[0].raw["score"] == 0.1
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
def test_malformed_score_raises(write_json, scores):
    (image,) = read_coco(write_json([IMAGE], [annotation([TRIANGLE], **scores)])).images
    assert image.annotations[0].mask().any()
    with pytest.raises(ValueError, match=f"annotation 1: {next(iter(scores))}"):
        image.records()


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ({}, "must be a list"),
        ([None], "lacks id, name"),
        ([{"id": "1", "name": "a"}], "whole number"),
        ([{"id": 1, "name": 5}], "must be a string"),
    ],
)
def test_malformed_categories_raise(write_json, categories, message):
    with pytest.raises(ValueError, match=message):
        read_coco(write_json([], [], categories=categories))


def test_malformed_category_id_raises(write_json):
    entry = annotation([TRIANGLE], category_id=[1])
    with pytest.raises(ValueError, match="category_id of annotation 1"):
        read_coco(write_json([IMAGE], [entry], categories=[{"id": 1, "name": "a"}]))


@pytest.mark.parametrize("format", SEGMENTATION_FORMATS)
def test_written_images_and_records_are_read_back_exactly(tmp_path, format):
    write_coco(IMAGES, tmp_path / "annotations.json", format=format)
    images = read_coco(tmp_path / "annotations.json").images
    assert [AnnotatedImage(image.file_name, image.size, image.records()) for image in images] == [
        AnnotatedImage(image.file_name, image.size, list(image.records)) for image in IMAGES
    ]


@pytest.mark.parametrize("format", SEGMENTATION_FORMATS)
def test_pycocotools_reads_the_same(tmp_path, format, capsys):
    path = tmp_path / "annotations.json"
    write_coco(IMAGES, path, format=format)
    coco = COCO(str(path))
    assert capsys.readouterr().out
    assert [coco.cats[category_id]["name"] for category_id in (1, 2)] == ["object", "sky"]
    entries = coco.loadAnns(coco.getAnnIds())
    for entry, record in zip(entries, RECORDS + RECORDS[::-1], strict=True):
        assert (entry["area"], entry["bbox"]) == (record["area"], record["bbox"])
        assert entry["iscrowd"] == 0
        assert coco.annToMask(entry).sum() == record["area"]


@given(mask=arrays.arrays(bool, (7, 5)))
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_polygons_are_exact(tmp_path, mask):
    path = tmp_path / "annotations.json"
    write_coco([AnnotatedImage("a.png", (7, 5), [mask_to_record(mask)])], path, format="polygons")
    (item,) = read_coco(path).images[0].annotations
    assert isinstance(item.segmentation, list) == bool(mask.any())
    np.testing.assert_array_equal(item.mask(), mask)


def test_areas_and_boxes_are_computed_from_the_masks(tmp_path):
    record = {"segmentation": np.eye(3, dtype=bool), "area": 99, "bbox": [1, 2, 3, 4]}
    write_coco([AnnotatedImage("a.png", (3, 3), [record])], tmp_path / "annotations.json")
    (entry,) = json.loads((tmp_path / "annotations.json").read_text())["annotations"]
    assert (entry["area"], entry["bbox"]) == (3, [0, 0, 3, 3])


def test_no_images(tmp_path):
    write_coco([], tmp_path / "annotations.json")
    assert read_coco(tmp_path / "annotations.json").images == ()


def test_polygon_tolerance_makes_files_smaller(tmp_path):
    path = tmp_path / "annotations.json"
    y, x = np.mgrid[:100, :100]
    image = AnnotatedImage("a.png", (100, 100), [mask_to_record(np.hypot(x - 50, y - 50) < 40)])
    sizes = []
    for tolerance in (0, 1):
        write_coco([image], path, format="polygons", polygon_tolerance=tolerance)
        sizes.append(path.stat().st_size)
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (IMAGES, {"format": "xml"}, "format must be one of rle, polygons, got 'xml'"),
        (IMAGES, {"polygon_tolerance": 1}, "polygon_tolerance needs format='polygons'"),
        ([IMAGES[0], IMAGES[0]], {}, "different names"),
        ([AnnotatedImage("a.png", (9, 6), RECORDS)], {}, "size"),
        ([AnnotatedImage("a.png", (6, 9), [RECORDS[0] | {"predicted_iou": np.nan}])], {}, "finite"),
    ],
)
def test_failed_write_leaves_no_file(tmp_path, images, options, message):
    with pytest.raises(ValueError, match=message):
        write_coco(images, tmp_path / "annotations.json", **options)
    assert list(tmp_path.iterdir()) == []
