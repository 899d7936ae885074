"""Any format to any: bit for bit in float32, named errors, and nothing half written."""

import itertools
import json

import ml_dtypes
import numpy as np
import pytest

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from tests.checkpoints.conftest import tiny_config

PLACES = {"keras": "keras", "transformers": "transformers", "meta": "sam.safetensors"}


@pytest.fixture
def source(checkpoint, tmp_path):
    write_keras_hub(tmp_path / "source", checkpoint, task=True)
    return tmp_path / "source"


def assert_same(found, expected):
    assert set(found.arrays) == set(expected.arrays)
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
        ours, theirs = found.config[part]["config"], expected.config[part]["config"]
        assert ours == theirs


@pytest.mark.parametrize(("first", "second"), list(itertools.product(PLACES, PLACES)))
def test_round_trips_are_exact(source, checkpoint, tmp_path, first, second):
    """From a preset to a format, to another, and what is there then is what was there."""
    convert_checkpoint(source, tmp_path / "a" / PLACES[first], to=first)
    convert_checkpoint(tmp_path / "a" / PLACES[first], tmp_path / "b" / PLACES[second], to=second)
    found = read_checkpoint(tmp_path / "b" / PLACES[second])
    assert found.format == second
    assert_same(found, checkpoint)


def test_a_pickled_file(source, checkpoint, tmp_path):
    convert_checkpoint(source, tmp_path / "sam.pth", to="meta")
    assert_same(read_checkpoint(tmp_path / "sam.pth"), checkpoint)


def test_the_same_file_is_written_again(source, tmp_path):
    convert_checkpoint(source, tmp_path / "a.safetensors", to="meta")
    convert_checkpoint(tmp_path / "a.safetensors", tmp_path / "b", to="transformers")
    convert_checkpoint(tmp_path / "b", tmp_path / "c.safetensors", to="meta")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()


def test_the_report(source, checkpoint, tmp_path):
    seen = []
    report = convert_checkpoint(
        source, tmp_path / "x", to="transformers", progress=lambda done, total: seen.append(done)
    )
    count = len(checkpoint.arrays)
    assert (report.source_format, report.destination_format) == ("keras", "transformers")
    assert (report.tensors, report.renamed, report.transposed) == (count, count, 0)
    assert report.parameters == sum(array.size for array in checkpoint.arrays.values())
    assert (report.source_dtypes, report.dtype) == (("float32",), "float32")
    assert seen[-1] == count
    back = convert_checkpoint(tmp_path / "x", tmp_path / "y", to="keras")
    kernels = sum(name.endswith("kernel") for name in checkpoint.arrays)
    assert back.transposed == kernels


@pytest.mark.parametrize("to", PLACES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_other_types(source, checkpoint, tmp_path, to, dtype):
    place = tmp_path / "out" / PLACES[to]
    assert convert_checkpoint(source, place, to=to, dtype=dtype).dtype == dtype
    arrays = read_checkpoint(place).arrays
    narrow = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    for name, array in checkpoint.arrays.items():
        assert arrays[name].dtype == narrow
        np.testing.assert_array_equal(arrays[name], array.astype(narrow))
    # The type of the source is kept when none is asked for.
    report = convert_checkpoint(place, tmp_path / "again", to="keras")
    assert (report.source_dtypes, report.dtype) == ((dtype,), dtype)


def test_numbers_that_a_type_cannot_hold(checkpoint, tmp_path):
    arrays = dict(checkpoint.arrays)
    arrays["mask_decoder/iou_token"] = arrays["mask_decoder/iou_token"] * 1e6
    loud = Checkpoint("SAMBackbone", checkpoint.config, arrays)
    write_keras_hub(tmp_path / "loud", loud, task=False)
    for to, place in PLACES.items():
        with pytest.raises(CheckpointError, match=r"iou_token.*beyond 65504.*bfloat16"):
            convert_checkpoint(tmp_path / "loud", tmp_path / "o" / place, to=to, dtype="float16")
        assert not (tmp_path / "o" / place).exists()
    assert not any((tmp_path / "o").iterdir())


def test_what_a_format_cannot_hold(tmp_path):
    config = tiny_config(num_heads=2)
    config["image_encoder"]["config"]["image_shape"] = [64, 32, 3]
    config["prompt_encoder"]["config"] |= {
        "image_embedding_size": [4, 2],
        "input_image_size": [64, 32],
    }
    arrays = {
        name: np.zeros(s, "float32") for name, s in expected_shapes("SAMBackbone", config).items()
    }
    write_keras_hub(tmp_path / "p", Checkpoint("SAMBackbone", config, arrays), task=False)
    with pytest.raises(CheckpointError, match="images of 64 x 32, expected a square"):
        convert_checkpoint(tmp_path / "p", tmp_path / "t", to="transformers")
    with pytest.raises(CheckpointError, match=r"num_heads 2 \(Meta's code: 8\)"):
        convert_checkpoint(tmp_path / "p", tmp_path / "m.pth", to="meta")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p"]


def test_what_stands_there_is_kept(source, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    (tmp_path / "sam.pth").write_text("mine")
    for to, place in (("transformers", "full"), ("keras", "full"), ("meta", "sam.pth")):
        with pytest.raises(CheckpointError, match="exists"):
            convert_checkpoint(source, tmp_path / place, to=to)
    assert (tmp_path / "full" / "letter.txt").read_text() == "mine"
    assert (tmp_path / "sam.pth").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"to": "onnx"}, "expected one of keras, transformers, meta"),
        ({"to": "keras", "dtype": "int8"}, "dtype must be one of"),
        ({"to": "meta"}, r"must end in \.safetensors or \.pth"),
    ],
)
def test_wrong_arguments(source, tmp_path, arguments, match):
    with pytest.raises(CheckpointError, match=match):
        convert_checkpoint(source, tmp_path / "out", **arguments)


def test_a_lone_image_encoder(checkpoint, tmp_path):
    config = checkpoint.config["image_encoder"]["config"]
    prefix = "image_encoder/"
    arrays = {
        name.removeprefix(prefix): array
        for name, array in checkpoint.arrays.items()
        if name.startswith(prefix)
    }
    encoder = Checkpoint("ViTDetBackbone", config, arrays)
    write_keras_hub(tmp_path / "encoder", encoder, task=False)
    convert_checkpoint(tmp_path / "encoder", tmp_path / "again", to="keras")
    assert set(read_checkpoint(tmp_path / "again").arrays) == set(arrays)
    for to in ("transformers", "meta"):
        with pytest.raises(CheckpointError, match="lone ViTDetBackbone"):
            convert_checkpoint(tmp_path / "encoder", tmp_path / f"{to}.pth", to=to)


def test_the_config_of_transformers_is_whole(source, tmp_path):
    convert_checkpoint(source, tmp_path / "x", to="transformers")
    config = json.loads((tmp_path / "x" / "config.json").read_text())
    assert config["vision_config"]["mlp_dim"] == 32
    assert config["vision_config"]["global_attn_indexes"] == [1]
    processor = json.loads((tmp_path / "x" / "preprocessor_config.json").read_text())
    assert processor["size"] == {"longest_edge": 64}
    assert processor["mask_size"] == {"longest_edge": 16}
