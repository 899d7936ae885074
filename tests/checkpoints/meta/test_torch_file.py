"""Files of PyTorch: wrapped, prefixed, old, damaged and hostile."""

import pickle
import sys

import ml_dtypes
import numpy as np
import pytest
import torch

from keras_sam.checkpoints import CheckpointError
from keras_sam.checkpoints.meta.torch_file import TorchFile, write_torch_file

ARRAYS = {
    "a.weight": np.arange(6, dtype="float32").reshape(2, 3),
    "b.weight": np.ones(4, "float32"),
}


def tensors():
    return {name: torch.tensor(array) for name, array in ARRAYS.items()}


def prefixed(tensors, prefix):
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.fixture
def save(tmp_path):
    def save(contents, **options):
        torch.save(contents, tmp_path / "x.pth", **options)
        return tmp_path / "x.pth"

    return save


def assert_read(file):
    opened = TorchFile(file, source="x")
    assert opened.shapes == {name: array.shape for name, array in ARRAYS.items()}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(opened.read(name), array)


def assert_refused(file, match):
    with pytest.raises(CheckpointError, match=match):
        TorchFile(file, source="x")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        lambda x: {"state_dict": x, "epoch": 3},
        lambda x: {"model": x, "optimizer": {"state": {}}},
        lambda x: {"model_state": prefixed(x, "sam.")},
        # micro-sam exports a model with the decoder of its automatic segmentation.
        lambda x: {"model_state": x, "decoder_state": {"decoder.blocks.0.bias": torch.zeros(2)}},
        lambda x: {"model_state": prefixed(x, "sam."), "decoder_state": {}, "iteration": 3},
        lambda x: {"state_dict": {"model": x}},
        lambda x: prefixed(x, "module."),
        lambda x: prefixed(x, "module.sam."),
        lambda x: x | {"pixel_mean": torch.zeros(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)},
        lambda x: {name: torch.nn.Parameter(tensor) for name, tensor in x.items()},
    ],
)
def test_wrapped_and_prefixed_tensors(save, wrap):
    assert_read(save(wrap(tensors())))


def test_older_format_of_pytorch(save):
    assert_read(save(tensors(), _use_new_zipfile_serialization=False))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_written_file_is_read(tmp_path, dtype):
    write_torch_file(tmp_path / "x.pth", ARRAYS, dtype=dtype)
    assert_read(tmp_path / "x.pth")  # these values are exact in every type
    expected = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    assert TorchFile(tmp_path / "x.pth", source="x").read("a.weight").dtype == expected


def test_ignored_tensors_may_be_of_any_type(save):
    file = save(tensors() | {"steps": torch.tensor(3)})
    opened = TorchFile(file, source="x", ignored=lambda names: {"steps"} & set(names))
    assert (opened.unused_tensors, set(opened.shapes)) == ({"steps"}, set(ARRAYS))
    assert_refused(file, "expected contiguous floats")


class Evil:
    def __reduce__(self):
        return print, ("this must never run",)


def test_code_is_not_run(save, tmp_path, capsys):
    assert_refused(save(tensors() | {"evil": Evil()}), "damaged or contains more than tensors")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil()))
    assert_refused(tmp_path / "plain.pth", "damaged or contains more than tensors")
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize("contents", [{"epoch": 3}, [torch.zeros(2)], {}, 3, {"model": [1]}])
def test_other_contents_raise(save, contents):
    assert_refused(save(contents), "expected tensors by name")


def test_damaged_file_raises(save):
    file = save(tensors())
    content = file.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"hello"):
        file.write_bytes(damaged)
        assert_refused(file, "damaged or contains more")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1, 1).expand(1000, 1000),
        torch.zeros(2, 3).T,
        torch.zeros(3, dtype=torch.int32),
        torch.eye(3).to_sparse(),
        torch.empty(3, device="meta"),
    ],
    ids=["expanded", "transposed", "integers", "sparse", "without_storage"],
)
def test_other_tensors_than_contiguous_floats_raise(save, tensor):
    assert_refused(save(tensors() | {"odd": tensor}), "odd of 'x' .*expected contiguous floats")


def test_views_that_declare_more_than_the_file_raise(save):
    storage = torch.zeros(10_000)
    views = {str(index): storage[:] for index in range(100)}
    assert_refused(save(views), "'x' declares 4000000 bytes of tensors")


def test_old_pytorch_raises(save, monkeypatch):
    file = save(tensors())
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    assert_refused(file, r"needs PyTorch 2\.10 or later, found 2\.9\.1")


def test_missing_pytorch_raises(save, tmp_path, monkeypatch):
    file = save(tensors())
    monkeypatch.setitem(sys.modules, "torch", None)
    assert_refused(file, "pip install torch, or convert the file to safetensors elsewhere")
    with pytest.raises(CheckpointError, match=r"pip install torch, or write a \.safetensors file"):
        write_torch_file(tmp_path / "y.pth", ARRAYS, dtype="float32")
