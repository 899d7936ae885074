"""Real files, damaged at random: always a clear error, in bounded memory, and nothing written."""

import json
import shutil
import struct
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub

FILES = {
    "keras": "keras/model.weights.h5",
    "transformers": "transformers/model.safetensors",
    "meta": "sam.safetensors",
    "pickled": "sam.pth",
    "preprocessing": "keras/preprocessing.json",
    "processor": "transformers/preprocessor_config.json",
}
SOURCES = FILES | {
    "keras": "keras",
    "transformers": "transformers",
    "preprocessing": "keras",
    "processor": "transformers",
}
MOST_MEMORY = 48 * 2**20  # bytes; reading a JSON file reserves 16 MiB

few_examples = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
each_file = pytest.mark.parametrize("kind", FILES)
each_safetensors = pytest.mark.parametrize("kind", ["transformers", "meta"])


@pytest.fixture(scope="module")
def place(tmp_path_factory, checkpoint):
    """One model in every format."""
    place = tmp_path_factory.mktemp("files")
    write_keras_hub(place / "keras", checkpoint, task=True)
    convert_checkpoint(place / "keras", place / "transformers", to="transformers")
    convert_checkpoint(place / "keras", place / "sam.safetensors", to="meta")
    convert_checkpoint(place / "keras", place / "sam.pth", to="meta")
    return place


def is_refused(place, kind, content):
    """Whether a conversion of the damaged file fails, as it should: all or nothing."""
    file, out = place / FILES[kind], place / "out"
    whole = file.read_bytes()
    file.write_bytes(content)
    message = ""
    tracemalloc.start()
    try:
        convert_checkpoint(place / SOURCES[kind], out / "there", to="keras")
    except CheckpointError as error:
        message = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        file.write_bytes(whole)
    assert peak < MOST_MEMORY
    assert len(message) < 4000
    if message:
        assert not out.exists() or not any(out.iterdir())
    shutil.rmtree(out, ignore_errors=True)
    return bool(message)


@each_file
@few_examples
@given(share=st.floats(0.0, 0.9999))
def test_cut(place, kind, share):
    content = (place / FILES[kind]).read_bytes().rstrip()  # a line's end may be left out
    assert is_refused(place, kind, content[: int(share * len(content))])


@each_file
@few_examples
@given(share=st.floats(0.0, 0.9999), flip=st.integers(1, 255))
def test_flipped(place, kind, share, flip):
    """A flipped bit in a number cannot be told from the number: then it is read."""
    content = bytearray((place / FILES[kind]).read_bytes())
    content[int(share * len(content))] ^= flip
    is_refused(place, kind, bytes(content))


@each_safetensors
@few_examples
@given(data=st.data())
def test_renamed(place, kind, data):
    def rename(header, name):
        header[name + "x"] = header.pop(name)

    assert is_refused(place, kind, with_changed_header(place, kind, data, rename))


@each_safetensors
@few_examples
@given(data=st.data(), side=st.integers(0, 2**62))
def test_reshaped(place, kind, data, side):
    def reshape(header, name):
        shape = header[name]["shape"]
        header[name]["shape"] = [side, *shape[1:]] if [side] != shape[:1] else [*shape, 2]

    assert is_refused(place, kind, with_changed_header(place, kind, data, reshape))


@each_safetensors
@few_examples
@given(data=st.data(), size=st.integers(-(2**62), 2**62).filter(bool))
def test_moved_and_oversized(place, kind, data, size):
    def move(header, name):
        header[name]["data_offsets"][1] += size

    assert is_refused(place, kind, with_changed_header(place, kind, data, move))


def with_changed_header(place, kind, data, change):
    content = (place / FILES[kind]).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    names = sorted(set(header) - {"__metadata__"})
    change(header, data.draw(st.sampled_from(names)))
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + content[8 + length :]


@each_file
def test_a_link_to_a_device(place, kind):
    file = place / FILES[kind]
    whole = file.read_bytes()
    file.unlink()
    file.symlink_to("/dev/zero")
    try:
        with pytest.raises(CheckpointError):
            convert_checkpoint(place / SOURCES[kind], place / "out" / "there", to="keras")
    finally:
        file.unlink()
        file.write_bytes(whole)


@each_file
def test_a_whole_file_is_read(place, kind, tmp_path):
    convert_checkpoint(place / SOURCES[kind], tmp_path / "there", to="keras")
