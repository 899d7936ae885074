"""How images are prepared: names, fields, files of ours, and the way through every format."""

import dataclasses
import json
import sys
from dataclasses import replace

import pytest

from keras_sam.checkpoints import preprocessing as plain
from keras_sam.checkpoints.builtin_presets import builtin_presets
from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.inspect_checkpoint import inspect_checkpoint
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub
from keras_sam.checkpoints.preprocessing import (
    CHOICES,
    MEDSAM,
    NAMED,
    SAM,
    describe_preprocessing,
    parse_preprocessing,
)
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.transforms import preprocessing as geometry
from keras_sam.transforms.preprocessing import Preprocessing

RATED = {"outlines": "image", "ratings": (0.5, 1.5, -1.0)}
OTHER = {"resize": "stretch", "interpolation": "bilinear", "normalization": "unit"}


def preprocessing_of(place, **kwargs):
    return read_checkpoint(place, load_weights=False, **kwargs).preprocessing


def write(directory, checkpoint, preprocessing):
    write_keras_hub(directory, replace(checkpoint, preprocessing=preprocessing), task=True)
    return directory


def test_what_is_known_here_is_what_images_are_prepared_by():
    assert CHOICES == geometry.CHOICES
    assert Preprocessing() == geometry.SAM == Preprocessing(**SAM)
    assert Preprocessing(**MEDSAM) == geometry.MEDSAM
    assert (plain.PIXEL_MEAN, plain.PIXEL_STD) == (geometry.PIXEL_MEAN, geometry.PIXEL_STD)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, SAM),
        ("sam", SAM),
        ("medsam", MEDSAM),
        ({}, SAM),
        ({"resize": "stretch"}, SAM | {"resize": "stretch"}),
        (geometry.MEDSAM, MEDSAM),
        ({"outlines": "image", "ratings": [0.5, 1.5, -1]}, SAM | RATED),
    ],
)
def test_what_may_be_given(value, expected):
    assert parse_preprocessing(value, source="x") == expected


def test_named_ones_are_not_shared():
    parse_preprocessing("sam", source="x")["resize"] = "stretch"
    assert parse_preprocessing(None, source="x")["resize"] == "longest_side"


WRONG = [
    ([], "expected sam or medsam, or the fields resize"),
    ("MedSAM", "expected sam or medsam"),
    (3, "expected sam or medsam"),
    (["sam"], "expected sam or medsam"),
    ({"scale": 1}, "unknown fields .*scale.*; known are resize"),
    ({"x" * 10**6: 1}, "unknown fields"),
    ({"resize": "crop"}, "resize='crop'; expected longest_side or stretch"),
    ({"resize": None}, "resize=None; expected longest_side or stretch"),
    ({"normalization": ["unit"]}, r"normalization=\['unit'\]; expected imagenet or unit"),
    ({"interpolation": "x" * 10**6}, "interpolation='xxx"),
    ({"upscaled": 10**300}, "upscaled=1000"),
    (RATED | {"ratings": [1, 2]}, r"ratings=\[1, 2\]; expected null or three numbers"),
    (RATED | {"ratings": [1, 2, None]}, "expected null or three numbers"),
    (RATED | {"ratings": [1, 2, 10**400]}, "expected null or three numbers"),
    (RATED | {"ratings": "x" * 10**6}, "expected null or three numbers"),
    (RATED | {"outlines": "model"}, "outlines=model, which moves none"),
]


@pytest.mark.parametrize(("value", "match"), WRONG)
def test_anything_else_is_refused(value, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        parse_preprocessing(value, source="x")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("value", "match"), WRONG[1:])
def test_a_file_that_tells_anything_else_is_refused(preset, value, match):
    (preset / "preprocessing.json").write_text(json.dumps(value))
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(preset)
    assert preprocessing_of(preset, preprocessing="sam") == SAM


@pytest.mark.parametrize("preprocessing", [SAM, MEDSAM, SAM | OTHER, SAM | RATED])
@pytest.mark.parametrize("to", ["keras", "transformers"])
def test_every_format_with_a_config_keeps_it(checkpoint, tmp_path, to, preprocessing):
    source = write(tmp_path / "source", checkpoint, preprocessing)
    report = convert_checkpoint(source, tmp_path / "a", to=to)
    assert report.preprocessing == preprocessing
    convert_checkpoint(tmp_path / "a", tmp_path / "b", to="keras")
    assert preprocessing_of(tmp_path / "b") == preprocessing
    assert inspect_checkpoint(tmp_path / "a").preprocessing == preprocessing


def test_files_of_meta_do_not_tell(checkpoint, tmp_path):
    source, file = write(tmp_path / "source", checkpoint, MEDSAM), tmp_path / "sam.safetensors"
    convert_checkpoint(source, file, to="meta")
    assert preprocessing_of(file) == SAM
    assert preprocessing_of(file, preprocessing="medsam") == MEDSAM
    convert_checkpoint(file, tmp_path / "again", to="keras", preprocessing="medsam")
    assert preprocessing_of(tmp_path / "again") == MEDSAM


def test_a_wrong_name_is_found_before_anything_is_read(tmp_path):
    with pytest.raises(CheckpointError, match="expected sam or medsam"):
        read_checkpoint(tmp_path / "nothing", preprocessing="medsan")


def test_a_lone_image_encoder_keeps_it(checkpoint, tmp_path):
    prefix = "image_encoder/"
    arrays = {
        name.removeprefix(prefix): array
        for name, array in checkpoint.arrays.items()
        if name.startswith(prefix)
    }
    config = checkpoint.config["image_encoder"]["config"]
    encoder = dataclasses.replace(
        checkpoint,
        class_name="ViTDetBackbone",
        config=config,
        arrays=arrays,
        preprocessing=MEDSAM,
    )
    write_keras_hub(tmp_path / "encoder", encoder, task=False)
    assert preprocessing_of(tmp_path / "encoder") == MEDSAM


def test_built_in_presets_know_theirs(preset, monkeypatch):
    for name, info in builtin_presets().items():
        if name == "sam_tiny_synthetic":  # its own files tell
            assert info.preprocessing is None
            found = preprocessing_of(name)
            assert len(found["ratings"]) == 3
            assert found == SAM | {
                "box_masks": "fitted",
                "outlines": "image",
                "ratings": found["ratings"],
            }
            continue
        expected = "medsam" if name == "medsam" else "sam"
        assert info.preprocessing == expected
        assert preprocessing_of(name) == NAMED[expected]
    assert preprocessing_of("medsam", preprocessing="sam") == SAM
    # Whatever the repository tells: MedSAM's has a copy of SAM's file.
    handle = builtin_presets()["medsam"].handle
    module = sys.modules[read_checkpoint.__module__]
    monkeypatch.setattr(module, "resolve_preset", lambda *_, **__: preset)
    for address in ("medsam", handle, f"{handle}@main"):
        assert preprocessing_of(address) == MEDSAM


def test_descriptions():
    assert describe_preprocessing(SAM).startswith("sam (resize longest_side, ")
    assert "ratings" not in describe_preprocessing(SAM)
    assert describe_preprocessing(SAM | RATED).endswith("ratings (0.5, 1.5, -1.0)")
    assert describe_preprocessing(MEDSAM).startswith("medsam (resize stretch, ")
    assert describe_preprocessing(SAM | OTHER).startswith("resize stretch, ")
