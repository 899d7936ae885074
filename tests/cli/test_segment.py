import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
from keras_sam.predict.sam_predictor import SAMPredictor


def read(path):
    with Image.open(path) as image:
        return np.array(image)


def segment(run, disc_image, preset, output, *prompt):
    result = run("segment", disc_image, *prompt, "--preset", preset, "--output", output, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_single_point_gives_three_masks_by_predicted_iou(run, disc_image, tiny_preset, tmp_path):
    record = segment(run, disc_image, tiny_preset, tmp_path / "out", "--point", "30,20")
    assert record["image_size"] == [40, 60]
    assert record["prompts"] == [{"points": [[30, 20, 1]], "box": None}]
    assert set(record["seconds"]) == {"load", "encode", "decode"}
    predicted_iou = [mask["predicted_iou"] for mask in record["masks"]]
    assert len(predicted_iou) == 3
    assert predicted_iou == sorted(predicted_iou, reverse=True)


def test_files_agree_with_the_record(run, disc_image, tiny_preset, tmp_path):
    record = segment(run, disc_image, tiny_preset, tmp_path / "out", "--point", "30,20")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {
        "disc_segments.json",
        "disc_overlay.png",
        *(f"disc_mask_{index}.png" for index in range(3)),
    }
    assert json.loads((tmp_path / "out" / "disc_segments.json").read_text()) == record
    assert read(record["overlay"]).shape == (40, 60, 3)
    for entry in record["masks"]:
        mask = read(entry["file"])
        assert mask.shape == (40, 60)
        assert set(np.unique(mask)) <= {0, 255}
        np.testing.assert_array_equal(coco.decode(entry["segmentation"]), mask // 255)
        assert entry["area"] == np.count_nonzero(mask)


def test_each_box_is_an_object(run, disc_image, tiny_preset, tmp_path):
    prompt = ("--box", "20,10,41,31", "--box", "0,0,10,10")
    record = segment(run, disc_image, tiny_preset, tmp_path, *prompt)
    assert [mask["object"] for mask in record["masks"]] == [0, 1]
    assert [one["box"] for one in record["prompts"]] == [[20, 10, 41, 31], [0, 0, 10, 10]]


def test_points_and_a_box_are_one_object(run, disc_image, tiny_preset, tmp_path):
    prompt = ("--point", "30,20", "--point", "2,2,0", "--box", "20,10,41,31")
    record = segment(run, disc_image, tiny_preset, tmp_path, *prompt)
    assert [mask["object"] for mask in record["masks"]] == [0]


@pytest.mark.parametrize(("choice", "masks"), [("--multimask", 3), ("--single-mask", 1)])
def test_number_of_masks(run, disc_image, tiny_preset, tmp_path, choice, masks):
    record = segment(run, disc_image, tiny_preset, tmp_path, "--point", "30,20", choice)
    assert len(record["masks"]) == masks


def test_text_output_names_the_overlay(run, disc_image, tiny_preset, tmp_path):
    result = run(
        "segment", disc_image, "--point", "30,20", "--preset", tiny_preset, "--output", tmp_path
    )
    assert result.exit_code == 0, result.stderr
    assert f"overlay: {tmp_path / 'disc_overlay.png'}" in result.stdout


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ((), "give a prompt: --point"),
        (("--point", "1"), "expected X,Y"),
        (("--point", "1,2,7"), "label of a point must be 1 or 0"),
        (("--box", "1,2,3"), "expected X0,Y0,X1,Y1"),
        (("--point", "1,1", "--box", "0,0,2,2", "--box", "3,3,5,5"), "at most one --box"),
    ],
)
def test_invalid_prompt_is_a_usage_error(run, disc_image, prompt, message):
    result = run("segment", disc_image, *prompt)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("image", "preset", "prompt"),
    [
        ("missing.png", None, "30,20"),
        (None, "no_such_preset", "30,20"),
        (None, None, "500,20"),
    ],
)
def test_user_error_is_one_sentence(run, disc_image, tiny_preset, tmp_path, image, preset, prompt):
    image = image or disc_image
    preset = preset or tiny_preset
    result = run(
        "segment", image, "--point", prompt, "--preset", preset, "--output", tmp_path / "out"
    )
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stderr.startswith("keras-sam: ")
    assert not (tmp_path / "out").exists()


def test_multi_scale_uses_the_multi_scale_predictor(run, tiny_preset, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (160, 240, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    predictor = MultiScalePredictor(SAMPredictor(SAMImageSegmenter.from_preset(str(tiny_preset))))
    predictor.set_image(pixels)
    box = [100, 40, 115, 52]
    (expected,), (predicted_iou,), _ = predictor.predict(box=box, multimask_output=False)
    prompt = ("--box", ",".join(map(str, box)), "--multi-scale")
    record = segment(run, tmp_path / "photo.png", tiny_preset, tmp_path / "out", *prompt)
    assert len(record["masks"]) == 1
    np.testing.assert_array_equal(read(record["masks"][0]["file"]) > 0, expected)
    assert record["masks"][0]["predicted_iou"] == pytest.approx(predicted_iou, abs=1e-3)
    assert set(record["seconds"]) == {"load", "encode", "decode"}
