import json
from dataclasses import replace

import pytest

from keras_sam.checkpoints import CheckpointError, convert_checkpoint, read_checkpoint
from keras_sam.checkpoints.transformers.preprocessor_config import (
    build_preprocessor_config,
    parse_preprocessor_config,
)
from keras_sam.transforms.inference_config import NAMED_CONFIGS, InferenceConfig
from keras_sam.transforms.preprocessing import Preprocessing

SAM = Preprocessing()
# The file of facebook/sam-vit-base, for images of 64 pixels.
PUBLISHED = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_pad": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "SamImageProcessor",
    "image_std": [0.229, 0.224, 0.225],
    "pad_size": {"height": 64, "width": 64},
    "processor_class": "SamProcessor",
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"longest_edge": 64},
}
WHOLE = {"height": 64, "width": 64}


def build(preprocessing, **options):
    contents = build_preprocessor_config(
        preprocessing, image_size=(64, 64), low_res_size=16, **options
    )
    return json.loads(json.dumps(contents))


def parse(contents):
    return parse_preprocessor_config(contents, image_size=(64, 64), source="x")


@pytest.fixture
def directory(preset, tmp_path):
    convert_checkpoint(preset, tmp_path / "model", to="transformers")
    return tmp_path / "model"


def test_published_file_is_that_of_sam(directory):
    assert parse(PUBLISHED) == SAM
    assert PUBLISHED.items() <= build(SAM).items()
    written = json.loads((directory / "preprocessor_config.json").read_text())
    assert PUBLISHED.items() <= written.items()
    assert written["mask_size"] == {"longest_edge": 16}


def test_missing_file_means_sam(directory):
    (directory / "preprocessor_config.json").unlink()
    assert read_checkpoint(directory).inference_config == InferenceConfig()


@pytest.mark.parametrize("resize", ["longest_side", "stretch"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("normalization", ["imagenet", "unit"])
def test_round_trip(resize, interpolation, normalization):
    preprocessing = Preprocessing(resize, interpolation, normalization)
    assert parse(build(preprocessing)) == preprocessing


def test_stretching_needs_the_processor_of_sam_2():
    contents = build(NAMED_CONFIGS["medsam"].preprocessing)
    assert contents["image_processor_type"] == "Sam2ImageProcessor"
    assert (contents["size"], contents["mask_size"]) == (WHOLE, {"height": 16, "width": 16})
    assert (contents["resample"], contents["do_normalize"]) == (3, False)
    assert parse(contents).normalization == "unit"  # the nearest to min_max


def test_processor_of_sam_hq():
    assert build(SAM, is_high_quality=True)["processor_class"] == "SamHQProcessor"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": 64}, {}),
        ({"size": {"longest_edge": 64, "height": None, "width": None}}, {}),
        ({"size": None}, {}),
        ({"size": WHOLE, "do_pad": False}, {"resize": "stretch"}),
        ({"resample": 3}, {"interpolation": "bicubic"}),
        ({"do_normalize": False, "image_mean": [1, 2]}, {"normalization": "unit"}),
        ({"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}, {"normalization": "unit"}),
        ({"image_mean": 0.0, "image_std": 1.0}, {"normalization": "unit"}),
        ({"image_mean": [0.48500001, 0.456, 0.406]}, {}),
        ({"rescale_factor": 0.003921569}, {}),
        # Keys that change no result are ignored.
        ({"do_pad": False}, {}),
        ({"pad_size": "all", "mask_size": [1], "do_convert_rgb": 7, "crop_size": 3}, {}),
    ],
)
def test_supported_settings(changes, expected):
    assert parse(PUBLISHED | changes) == replace(SAM, **expected)


def test_missing_keys_have_the_values_of_sam():
    assert parse({}) == SAM


@pytest.mark.parametrize(
    "changes",
    [
        {"do_resize": False},
        {"do_rescale": False},
        {"do_center_crop": True},
        {"rescale_factor": 1.0},
        {"rescale_factor": "1/255"},
        {"rescale_factor": 10**400},
        {"resample": 0},
        {"resample": 1},
        {"resample": True},
        {"resample": "bicubic"},
        {"resample": [2]},
        {"do_normalize": "yes"},
        {"do_normalize": 1},
        {"image_mean": [0.5, 0.5, 0.5]},
        {"image_mean": "imagenet"},
        {"image_mean": [0.485] * 10**5},
        {"image_mean": {"r": 1}},
        {"image_std": [0.5, 0.5, 0.5]},
        {"image_std": [10**400] * 3},
        {"size": {"longest_edge": 32}},
        {"size": {"height": 64, "width": 32}},
        {"size": {"shortest_edge": 64}},
        {"size": {"longest_edge": 64, "height": 64, "width": 64}},
        {"size": {}},
        {"size": [64]},
        {"size": 32},
        {"size": 10**400},
    ],
)
def test_other_pipelines_raise_with_key_and_value(changes):
    key = next(iter(changes))
    with pytest.raises(CheckpointError, match=f"has {key}=.*; supported is") as caught:
        parse(PUBLISHED | changes)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("contents", [[], 3, "sam", None])
def test_other_values_than_an_object_raise(contents):
    with pytest.raises(CheckpointError, match="must be a JSON object"):
        parse(contents)


@pytest.mark.parametrize(
    "content", [b'{"do_resize": false}', b"", b"{", b"\xff", b"[" * 10**5, b'{"size": NaN}']
)
def test_unusable_file_is_ignored_if_settings_are_given(directory, content):
    (directory / "preprocessor_config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json"):
        read_checkpoint(directory, load_weights=False)
    checkpoint = read_checkpoint(directory, load_weights=False, inference_config="medsam")
    assert checkpoint.inference_config == NAMED_CONFIGS["medsam"]
