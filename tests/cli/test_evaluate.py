import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from keras_sam.annotations.coco import read_coco
from keras_sam.evaluate.evaluate import evaluate
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
from keras_sam.predict.predictor import SAMPredictor


@pytest.fixture
def annotations(photograph, tmp_path):
    """The disc of the photograph and its dark ground, as COCO annotations."""
    with Image.open(photograph) as picture:
        disc = np.array(picture)[..., 0] > 100
    entries = []
    for index, mask in enumerate([disc, ~disc], start=1):
        rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        entries.append(
            {
                "id": index,
                "image_id": 7,
                "category_id": 1,
                "iscrowd": 0,
                "area": int(mask.sum()),
                "bbox": coco.toBbox(rle).tolist(),
                "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
            }
        )
    path = tmp_path / "annotations.json"
    image = {"id": 7, "file_name": photograph.name, "height": 40, "width": 60}
    categories = [{"id": 1, "name": "thing"}]
    path.write_text(
        json.dumps({"images": [image], "annotations": entries, "categories": categories})
    )
    return path


def test_one_json_object(run, annotations, photograph, tiny_preset):
    result = run(
        "evaluate", annotations, "--images", photograph.parent, "--preset", tiny_preset, "--json"
    )
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)
    names = {
        "box",
        "click",
        "point_oracle_iou",
        "three_point_iou",
        "images",
        "masks",
        "calibration",
    }
    assert set(figures) == names
    assert (figures["images"], figures["masks"]) == (1, 2)
    assert 0 <= figures["click"] <= figures["point_oracle_iou"] <= 1
    assert 0 <= figures["box"] <= 1
    assert sum(one["masks"] for one in figures["calibration"]) == 2 * 3


def test_small_things_are_looked_at_closer(run, tiny_preset, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (160, 240, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    mask = np.zeros((160, 240), np.uint8)
    mask[40:52, 100:115] = 1
    rle = coco.encode(np.asfortranarray(mask))
    rle["counts"] = rle["counts"].decode()
    image = {"id": 7, "file_name": "photo.png", "height": 160, "width": 240}
    note = {"id": 1, "image_id": 7, "category_id": 1, "segmentation": rle}
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": [image], "annotations": [note]}))
    options = ("--images", tmp_path, "--preset", tiny_preset, "--zoom", "--json")
    figures = json.loads(run("evaluate", path, *options).stdout)
    predictor = MultiScalePredictor(SAMPredictor(SAMImageSegmenter.from_preset(str(tiny_preset))))
    expected = evaluate(predictor, read_coco(path), tmp_path)
    for name in ("box", "click", "point_oracle_iou", "three_point_iou"):
        assert figures[name] == pytest.approx(getattr(expected, name), abs=2e-3)


def test_as_text(run, annotations, photograph, tiny_preset):
    result = run("evaluate", annotations, "--images", photograph.parent, "--preset", tiny_preset)
    assert result.exit_code == 0, result.stderr
    assert "2 masks of 1 images" in result.stdout
    assert "one click and two corrections" in result.stdout
    assert "ratings are off by" in result.stdout


def test_held_out_images_must_leave_some(run, annotations, photograph, tiny_preset):
    result = run(
        "evaluate",
        annotations,
        "--images",
        photograph.parent,
        "--preset",
        tiny_preset,
        "--held-out",
        1,
    )
    assert result.exit_code == 1
    assert "hold out fewer than the 1 images" in result.stderr


def test_a_missing_folder_is_one_sentence(run, annotations, tiny_preset, tmp_path):
    images = tmp_path / "nowhere"
    result = run("evaluate", annotations, "--images", images, "--preset", tiny_preset, "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1


def test_annotations_that_are_none(run, tmp_path, tiny_preset):
    path = tmp_path / "annotations.json"
    path.write_text("{")
    result = run("evaluate", path, "--images", tmp_path, "--preset", tiny_preset)
    assert result.exit_code == 1
    assert result.stderr.startswith("keras-sam: ")
