"""What the `preprocessor_config.json` of transformers tells, and what it must not tell."""

import json

import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.preprocessing import MEDSAM, SAM
from keras_sam.checkpoints.read_checkpoint import read_checkpoint

# As facebook/sam-vit-base has it, for images of 64 pixels.
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


@pytest.fixture
def directory(preset, tmp_path):
    convert_checkpoint(preset, tmp_path / "hub", to="transformers")
    return tmp_path / "hub"


def read(directory, contents, **kwargs):
    (directory / "preprocessor_config.json").write_text(json.dumps(contents))
    return read_checkpoint(directory, load_weights=False, **kwargs).preprocessing


def test_the_published_one_is_sams(directory):
    assert read(directory, PUBLISHED) == SAM


def test_no_file_is_sams(directory):
    (directory / "preprocessor_config.json").unlink()
    assert read_checkpoint(directory).preprocessing == SAM


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
        # What changes no result is not looked at.
        ({"do_pad": False}, {}),
        ({"pad_size": "all", "mask_size": [1], "do_convert_rgb": 7, "crop_size": 3}, {}),
    ],
)
def test_what_can_be_expressed(directory, changes, expected):
    assert read(directory, PUBLISHED | changes) == SAM | expected


def test_left_out_keys_are_sams(directory):
    assert read(directory, {}) == SAM


WRONG = [
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
]


@pytest.mark.parametrize("changes", WRONG)
def test_other_pipelines_are_refused_by_key_and_value(directory, changes):
    key = next(iter(changes))
    with pytest.raises(CheckpointError, match=f"has {key}=.*; supported is") as caught:
        read(directory, PUBLISHED | changes)
    assert len(str(caught.value)) < 1000
    assert read(directory, PUBLISHED | changes, preprocessing="medsam") == MEDSAM


def test_what_is_written_for_medsam(preset, tmp_path):
    """transformers has no processor of SAM that stretches; that of SAM 2 does."""
    convert_checkpoint(preset, tmp_path / "x", to="transformers", preprocessing="medsam")
    contents = json.loads((tmp_path / "x" / "preprocessor_config.json").read_text())
    assert contents["image_processor_type"] == "Sam2ImageProcessor"
    assert (contents["size"], contents["mask_size"]) == (WHOLE, {"height": 16, "width": 16})
    assert (contents["resample"], contents["do_normalize"]) == (3, False)
    assert json.loads((tmp_path / "x" / "preprocessing.json").read_text()) == MEDSAM
    convert_checkpoint(preset, tmp_path / "y", to="transformers")
    assert not (tmp_path / "y" / "preprocessing.json").exists()


@pytest.mark.parametrize("contents", [[], 3, "sam", None])
def test_what_is_no_object_is_refused(directory, contents):
    with pytest.raises(CheckpointError, match="must be a JSON object"):
        read(directory, contents)


def test_files_that_are_not_json_are_refused(directory):
    for content in (b"", b"{", b"\xff", b"[" * 10**5, b'{"size": NaN}'):
        (directory / "preprocessor_config.json").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"preprocessor_config\.json"):
            read_checkpoint(directory, load_weights=False)
