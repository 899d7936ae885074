import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from keras_sam.annotations.coco import read_coco
from keras_sam.evaluate.evaluate import evaluate
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
from keras_sam.predict.sam_predictor import SAMPredictor


@pytest.fixture
def annotations(disc_image, tmp_path):
    """COCO annotations of the disc and of its background."""
    with Image.open(disc_image) as image:
        disc = np.array(image)[..., 0] > 100
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
    image = {"id": 7, "file_name": disc_image.name, "height": 40, "width": 60}
    categories = [{"id": 1, "name": "thing"}]
    path.write_text(
        json.dumps({"images": [image], "annotations": entries, "categories": categories})
    )
    return path


def test_json_output(run, annotations, disc_image, tiny_preset):
    result = run(
        "evaluate", annotations, "--images", disc_image.parent, "--preset", tiny_preset, "--json"
    )
    assert result.exit_code == 0, result.stderr
    metrics = json.loads(result.stdout)
    names = {
        "box_iou",
        "point_iou",
        "point_oracle_iou",
        "three_point_iou",
        "images",
        "masks",
        "calibration",
        "jittered_point_iou",
        "box_boundary_iou",
        "point_boundary_iou",
        "three_point_boundary_iou",
        "clicks",
        "box_ap",
        "by_category",
        "by_size",
    }
    assert set(metrics) == names
    assert (metrics["images"], metrics["masks"]) == (1, 2)
    assert 0 <= metrics["point_iou"] <= metrics["point_oracle_iou"] <= 1
    assert 0 <= metrics["box_iou"] <= 1
    assert sum(one["masks"] for one in metrics["calibration"]) == 2 * 3
    assert (metrics["clicks"], metrics["box_ap"], metrics["jittered_point_iou"]) == (None,) * 3
    assert {name: means["masks"] for name, means in metrics["by_category"].items()} == {"thing": 2}
    assert set(metrics["by_size"]) == {"small", "medium"}


def test_all_protocols_as_text_and_json(run, annotations, disc_image, tiny_preset, tmp_path):
    csv = tmp_path / "scores.csv"
    options = ("--images", disc_image.parent, "--preset", tiny_preset)
    protocols = ("--clicks", "--jitter", "--box-ap", "--per-category", "--csv", csv)
    result = run("evaluate", annotations, *options, *protocols)
    assert result.exit_code == 0, result.stderr
    for text in ("NoC@90", "box AP", "the same for a random point", "thing", "medium"):
        assert text in result.stdout
    lines = csv.read_text().splitlines()
    assert len(lines) == 1 + 2
    assert lines[1].startswith("disc.png,1,thing,")
    metrics = json.loads(run("evaluate", annotations, *options, *protocols, "--json").stdout)
    assert len(metrics["clicks"]["mean_iou"]) == 5
    assert [one["iou"] for one in metrics["clicks"]["thresholds"]] == [0.8, 0.85, 0.9, 0.95]
    assert f"mean IoU after 1 to 5 clicks: {metrics['clicks']['mean_iou'][0]:.3f}" in result.stdout
    assert 0 <= metrics["box_ap"]["ap"] <= metrics["box_ap"]["ap50"] <= 1
    assert 0 <= metrics["jittered_point_iou"] <= 1


def test_wrong_path_of_the_csv_file_is_found_at_once(run, annotations, tmp_path):
    path = tmp_path / "nowhere" / "scores.csv"
    result = run("evaluate", annotations, "--images", tmp_path, "--csv", path, "--preset", "none")
    assert result.exit_code == 1
    assert "the folder of --csv does not exist" in result.stderr
    result = run("evaluate", annotations, "--images", tmp_path, "--csv", tmp_path)
    assert result.exit_code == 1
    assert "--csv must be a file" in result.stderr


def test_multi_scale_uses_the_multi_scale_predictor(run, tiny_preset, tmp_path):
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
    options = ("--images", tmp_path, "--preset", tiny_preset, "--multi-scale", "--json")
    metrics = json.loads(run("evaluate", path, *options).stdout)
    predictor = MultiScalePredictor(SAMPredictor(SAMImageSegmenter.from_preset(str(tiny_preset))))
    expected = evaluate(predictor, read_coco(path), tmp_path)
    for name in ("box_iou", "point_iou", "point_oracle_iou", "three_point_iou"):
        assert metrics[name] == pytest.approx(getattr(expected, name), abs=2e-3)


def test_text_output(run, annotations, disc_image, tiny_preset):
    result = run("evaluate", annotations, "--images", disc_image.parent, "--preset", tiny_preset)
    assert result.exit_code == 0, result.stderr
    assert "2 masks in 1 images" in result.stdout
    assert "point and two corrections" in result.stdout
    assert "expected calibration error" in result.stdout


def test_validation_images_must_leave_training_images(run, annotations, disc_image, tiny_preset):
    result = run(
        "evaluate",
        annotations,
        "--images",
        disc_image.parent,
        "--preset",
        tiny_preset,
        "--validation-images",
        1,
    )
    assert result.exit_code == 1
    assert "less than the 1 images" in result.stderr


def test_missing_folder_is_one_sentence(run, annotations, tiny_preset, tmp_path):
    images = tmp_path / "nowhere"
    result = run("evaluate", annotations, "--images", images, "--preset", tiny_preset, "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1


def test_invalid_annotations_are_one_sentence(run, tmp_path, tiny_preset):
    path = tmp_path / "annotations.json"
    path.write_text("{")
    result = run("evaluate", path, "--images", tmp_path, "--preset", tiny_preset)
    assert result.exit_code == 1
    assert result.stderr.startswith("keras-sam: ")
