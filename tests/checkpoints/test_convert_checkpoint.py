"""Conversions between all formats, of whole and of corrupt files."""

import itertools
import json
import shutil
import struct
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_sam.checkpoints import (
    CheckpointError,
    convert_checkpoint,
    read_checkpoint,
    write_keras_hub,
)
from keras_sam.transforms.inference_config import NAMED_CONFIGS
from tests.checkpoints.conftest import (
    assert_same_arrays,
    image_encoder_of,
    random_checkpoint,
    tiny_config,
)

PATHS = {"keras": "keras", "transformers": "transformers", "meta": "sam.safetensors"}


@pytest.fixture
def source(checkpoint, tmp_path):
    write_keras_hub(tmp_path / "source", checkpoint, task=True)
    return tmp_path / "source"


def assert_same(checkpoint, expected):
    assert_same_arrays(checkpoint.arrays, expected.arrays)
    for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
        assert checkpoint.config[part]["config"] == expected.config[part]["config"]


@pytest.mark.parametrize(("first", "second"), list(itertools.product(PATHS, PATHS)))
def test_round_trips_are_exact(source, checkpoint, tmp_path, first, second):
    convert_checkpoint(source, tmp_path / "a" / PATHS[first], to=first)
    convert_checkpoint(tmp_path / "a" / PATHS[first], tmp_path / "b" / PATHS[second], to=second)
    converted = read_checkpoint(tmp_path / "b" / PATHS[second])
    assert converted.format == second
    assert_same(converted, checkpoint)


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_file_of_pytorch(source, checkpoint, tmp_path, suffix):
    convert_checkpoint(source, tmp_path / f"sam{suffix}", to="meta")
    assert_same(read_checkpoint(tmp_path / f"sam{suffix}"), checkpoint)


def test_file_of_meta_is_reproduced_byte_by_byte(source, tmp_path):
    convert_checkpoint(source, tmp_path / "a.safetensors", to="meta")
    convert_checkpoint(tmp_path / "a.safetensors", tmp_path / "b", to="transformers")
    convert_checkpoint(tmp_path / "b", tmp_path / "c.safetensors", to="meta")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()


def test_report(source, checkpoint, tmp_path):
    calls = []
    report = convert_checkpoint(
        source, tmp_path / "x", to="transformers", progress=lambda *counts: calls.append(counts)
    )
    count = len(checkpoint.arrays)
    assert (report.source_format, report.destination_format) == ("keras", "transformers")
    assert (report.tensors, report.renamed, report.transposed) == (count, count, 0)
    assert report.parameters == sum(array.size for array in checkpoint.arrays.values())
    assert (report.source_dtypes, report.dtype) == (("float32",), "float32")
    assert calls[-1] == (count, count)
    back = convert_checkpoint(tmp_path / "x", tmp_path / "y", to="keras")
    kernels = sum(name.endswith("kernel") for name in checkpoint.arrays)
    assert back.transposed == kernels


@pytest.mark.parametrize("to", PATHS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_rounds_and_is_kept(source, checkpoint, tmp_path, to, dtype):
    path = tmp_path / "out" / PATHS[to]
    assert convert_checkpoint(source, path, to=to, dtype=dtype).dtype == dtype
    half = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    arrays = read_checkpoint(path).arrays
    assert {array.dtype for array in arrays.values()} == {half}
    expected = {name: array.astype(half) for name, array in checkpoint.arrays.items()}
    assert_same_arrays(arrays, expected)
    report = convert_checkpoint(path, tmp_path / "again", to="keras")
    assert (report.source_dtypes, report.dtype) == ((dtype,), dtype)


def test_values_beyond_float16_raise(checkpoint, tmp_path):
    large = random_checkpoint(checkpoint.config)
    large.arrays["mask_decoder/iou_token"] *= 1e6
    write_keras_hub(tmp_path / "large", large, task=False)
    for to, path in PATHS.items():
        with pytest.raises(CheckpointError, match=r"iou_token.*beyond 65504.*bfloat16"):
            convert_checkpoint(tmp_path / "large", tmp_path / "o" / path, to=to, dtype="float16")
    assert not any((tmp_path / "o").iterdir())


def test_models_that_a_format_cannot_represent_raise(tmp_path):
    config = tiny_config(num_heads=2)
    config["image_encoder"]["config"]["image_shape"] = [64, 32, 3]
    config["prompt_encoder"]["config"] |= {
        "image_embedding_size": [4, 2],
        "input_image_size": [64, 32],
    }
    write_keras_hub(tmp_path / "p", random_checkpoint(config), task=False)
    with pytest.raises(CheckpointError, match="images of 64 x 32, expected a square"):
        convert_checkpoint(tmp_path / "p", tmp_path / "t", to="transformers")
    with pytest.raises(CheckpointError, match=r"num_heads 2 \(Meta's code: 8\)"):
        convert_checkpoint(tmp_path / "p", tmp_path / "m.pth", to="meta")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p"]


def test_other_files_are_not_replaced(source, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    (tmp_path / "sam.pth").write_text("mine")
    for to, path in (("transformers", "full"), ("keras", "full"), ("meta", "sam.pth")):
        with pytest.raises(CheckpointError, match="exists"):
            convert_checkpoint(source, tmp_path / path, to=to)
    assert (tmp_path / "full" / "letter.txt").read_text() == "mine"
    assert (tmp_path / "sam.pth").read_text() == "mine"


def test_unwritable_destination_raises(source, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for to, path in (("transformers", "a"), ("meta", "a.safetensors")):
        with pytest.raises(CheckpointError, match="cannot write"):
            convert_checkpoint(source, tmp_path / "file" / path, to=to)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"to": "onnx"}, "expected one of keras, transformers, meta"),
        ({"to": "keras", "dtype": "int8"}, "dtype must be one of"),
        ({"to": "meta"}, r"must end in \.safetensors or \.pth"),
    ],
)
def test_wrong_arguments_raise(source, tmp_path, arguments, match):
    with pytest.raises(CheckpointError, match=match):
        convert_checkpoint(source, tmp_path / "out", **arguments)


def test_image_encoder_alone(checkpoint, tmp_path):
    encoder = image_encoder_of(checkpoint)
    write_keras_hub(tmp_path / "encoder", encoder, task=False)
    convert_checkpoint(tmp_path / "encoder", tmp_path / "again", to="keras")
    assert_same_arrays(read_checkpoint(tmp_path / "again").arrays, encoder.arrays)
    for to in ("transformers", "meta"):
        with pytest.raises(CheckpointError, match="ViTDetBackbone alone"):
            convert_checkpoint(tmp_path / "encoder", tmp_path / f"{to}.pth", to=to)


# Corrupt files: always a clear error, in bounded memory, and nothing is written.

FILES = {
    "keras": "keras/model.weights.h5",
    "transformers": "transformers/model.safetensors",
    "meta": "sam.safetensors",
    "pytorch": "sam.pth",
    "inference_config": "keras/inference_config.json",
    "processor": "transformers/preprocessor_config.json",
}
SOURCES = FILES | {
    "keras": "keras",
    "transformers": "transformers",
    "inference_config": "keras",
    "processor": "transformers",
}
MAX_MEMORY = 48 * 2**20  # bytes; reading a JSON file reserves 16 MiB

few_examples = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
each_file = pytest.mark.parametrize("kind", FILES)
each_safetensors = pytest.mark.parametrize("kind", ["transformers", "meta"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, checkpoint):
    """A folder with one model in every format."""
    folder = tmp_path_factory.mktemp("files")
    write_keras_hub(folder / "plain", checkpoint, task=True)
    for to, path in (("transformers", "transformers"), ("meta", "sam.safetensors")):
        convert_checkpoint(folder / "plain", folder / path, to=to)
    convert_checkpoint(folder / "plain", folder / "sam.pth", to="meta")
    medsam = NAMED_CONFIGS["medsam"]
    convert_checkpoint(folder / "plain", folder / "keras", to="keras", inference_config=medsam)
    return folder


def fails_cleanly(folder, kind, content):
    """Convert a corrupt file. Return True if that fails, after checking what it leaves."""
    file, out = folder / FILES[kind], folder / "out"
    original = file.read_bytes()
    file.write_bytes(content)
    message = ""
    tracemalloc.start()
    try:
        convert_checkpoint(folder / SOURCES[kind], out / "model", to="keras")
    except CheckpointError as error:
        message = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        file.write_bytes(original)
    assert peak < MAX_MEMORY
    assert len(message) < 4000
    if message:
        assert not out.exists() or not any(out.iterdir())
    shutil.rmtree(out, ignore_errors=True)
    return bool(message)


@each_file
def test_complete_file_is_converted(folder, kind, tmp_path):
    convert_checkpoint(folder / SOURCES[kind], tmp_path / "model", to="keras")


@each_file
@few_examples
@given(share=st.floats(0.0, 0.9999))
def test_truncated_file_raises(folder, kind, share):
    content = (folder / FILES[kind]).read_bytes().rstrip()  # JSON is complete without its newline
    assert fails_cleanly(folder, kind, content[: int(share * len(content))])


@each_file
@few_examples
@given(share=st.floats(0.0, 0.9999), flip=st.integers(1, 255))
def test_flipped_bits_raise_or_change_a_value(folder, kind, share, flip):
    content = bytearray((folder / FILES[kind]).read_bytes())
    content[int(share * len(content))] ^= flip
    fails_cleanly(folder, kind, bytes(content))


@each_safetensors
@few_examples
@given(data=st.data())
def test_renamed_tensor_raises(folder, kind, data):
    def rename(header, name):
        header[name + "x"] = header.pop(name)

    assert fails_cleanly(folder, kind, with_changed_header(folder, kind, data, rename))


@each_safetensors
@few_examples
@given(data=st.data(), side=st.integers(0, 2**62))
def test_reshaped_tensor_raises(folder, kind, data, side):
    def reshape(header, name):
        shape = header[name]["shape"]
        header[name]["shape"] = [side, *shape[1:]] if [side] != shape[:1] else [*shape, 2]

    assert fails_cleanly(folder, kind, with_changed_header(folder, kind, data, reshape))


@each_safetensors
@few_examples
@given(data=st.data(), size=st.integers(-(2**62), 2**62).filter(bool))
def test_moved_tensor_raises(folder, kind, data, size):
    def move(header, name):
        header[name]["data_offsets"][1] += size

    assert fails_cleanly(folder, kind, with_changed_header(folder, kind, data, move))


def with_changed_header(folder, kind, data, change):
    content = (folder / FILES[kind]).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    names = sorted(set(header) - {"__metadata__"})
    change(header, data.draw(st.sampled_from(names)))
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + content[8 + length :]


@each_file
def test_link_to_a_device_raises(folder, kind):
    file = folder / FILES[kind]
    original = file.read_bytes()
    file.unlink()
    file.symlink_to("/dev/zero")
    try:
        with pytest.raises(CheckpointError):
            convert_checkpoint(folder / SOURCES[kind], folder / "out" / "model", to="keras")
    finally:
        file.unlink()
        file.write_bytes(original)
