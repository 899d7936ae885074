"""COCO files there and back, also through pycocotools."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as arrays
from pycocotools.coco import COCO

from keras_sam.annotations.coco import read_coco
from keras_sam.annotations.record import AnnotatedImage, mask_to_record
from keras_sam.annotations.write_coco import FORMATS, write_coco

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


@pytest.mark.parametrize("form", FORMATS)
def test_images_and_records_come_back_exactly(tmp_path, form):
    write_coco(IMAGES, tmp_path / "notes.json", form=form)
    back = read_coco(tmp_path / "notes.json").images
    assert [AnnotatedImage(one.file_name, one.size, one.records()) for one in back] == [
        AnnotatedImage(one.file_name, one.size, list(one.records)) for one in IMAGES
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_pycocotools_reads_the_same(tmp_path, form, capsys):
    path = tmp_path / "notes.json"
    write_coco(IMAGES, path, form=form)
    coco = COCO(str(path))
    assert capsys.readouterr().out
    assert [coco.cats[number]["name"] for number in (1, 2)] == ["object", "sky"]
    for note, record in zip(coco.loadAnns(coco.getAnnIds()), RECORDS + RECORDS[::-1], strict=True):
        assert (note["area"], note["bbox"]) == (record["area"], record["bbox"])
        assert note["iscrowd"] == 0
        assert coco.annToMask(note).sum() == record["area"]


@given(mask=arrays.arrays(bool, (7, 5)))
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_polygons_are_exact(tmp_path, mask):
    path = tmp_path / "notes.json"
    write_coco([AnnotatedImage("a.png", (7, 5), [mask_to_record(mask)])], path, form="polygons")
    (annotation,) = read_coco(path).images[0].annotations
    assert isinstance(annotation.segmentation, list) == bool(mask.any())
    np.testing.assert_array_equal(annotation.mask(), mask)


def test_stale_areas_and_boxes_are_counted_anew(tmp_path):
    record = {"segmentation": np.eye(3, dtype=bool), "area": 99, "bbox": [1, 2, 3, 4]}
    write_coco([AnnotatedImage("a.png", (3, 3), [record])], tmp_path / "notes.json")
    (note,) = json.loads((tmp_path / "notes.json").read_text())["annotations"]
    assert (note["area"], note["bbox"]) == (3, [0, 0, 3, 3])


def test_no_images(tmp_path):
    write_coco([], tmp_path / "notes.json")
    assert read_coco(tmp_path / "notes.json").images == ()


def test_a_tolerance_makes_smaller_files(tmp_path):
    y, x = np.mgrid[:100, :100]
    image = AnnotatedImage("a.png", (100, 100), [mask_to_record(np.hypot(x - 50, y - 50) < 40)])
    sizes = []
    for tolerance in (0, 1):
        write_coco([image], tmp_path / "notes.json", form="polygons", tolerance=tolerance)
        sizes.append((tmp_path / "notes.json").stat().st_size)
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (IMAGES, {"form": "xml"}, "form"),
        ([IMAGES[0], IMAGES[0]], {}, "different names"),
        ([AnnotatedImage("a.png", (9, 6), RECORDS)], {}, "size"),
        ([AnnotatedImage("a.png", (6, 9), [RECORDS[0] | {"predicted_iou": np.nan}])], {}, "finite"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(tmp_path, images, options, message):
    with pytest.raises(ValueError, match=message):
        write_coco(images, tmp_path / "notes.json", **options)
    assert list(tmp_path.iterdir()) == []
