"""Files with Meta's tensor names, `.pth` and `.safetensors`.

Outputs are compared with another implementation in tests/models/test_formats.py.
"""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from keras_sam.checkpoints import CheckpointError, read_checkpoint, write_meta
from keras_sam.checkpoints.torch_layout import to_torch_layout
from keras_sam.checkpoints.transformers.tensor_names import transformers_names
from tests.checkpoints.conftest import assert_same_arrays, image_encoder_of
from tests.checkpoints.meta_names import to_meta_name


@pytest.fixture
def tensors(checkpoint):
    names = transformers_names(checkpoint.config, source="x")
    return {
        to_meta_name(names[name]): to_torch_layout(name, array).copy()
        for name, array in checkpoint.arrays.items()
    }


def as_torch(tensors):
    return {name: torch.tensor(array) for name, array in tensors.items()}


def save_torch(file, contents):
    torch.save(contents, file)
    return file


def assert_same(checkpoint, expected):
    assert checkpoint.config == expected.config
    assert_same_arrays(checkpoint.arrays, expected.arrays)


def assert_refused(file, match):
    with pytest.raises(CheckpointError, match=match):
        dict(read_checkpoint(file).arrays)


def test_safetensors(tmp_path, tensors, checkpoint):
    save_file(tensors, tmp_path / "sam.safetensors")
    assert_same(read_checkpoint(tmp_path / "sam.safetensors"), checkpoint)


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_file_of_pytorch(tmp_path, tensors, checkpoint, suffix):
    assert_same(
        read_checkpoint(save_torch(tmp_path / f"sam{suffix}", as_torch(tensors))), checkpoint
    )


def test_bfloat16_is_kept(tmp_path, tensors):
    halves = {name: x.bfloat16() for name, x in as_torch(tensors).items()}
    arrays = read_checkpoint(save_torch(tmp_path / "sam.pth", halves)).arrays
    assert {array.dtype.name for array in arrays.values()} == {"bfloat16"}
    token = arrays["mask_decoder/iou_token"].astype("float32")
    np.testing.assert_array_equal(token, halves["mask_decoder.iou_token.weight"].float().numpy())


def test_config_without_weights(tmp_path, tensors, checkpoint):
    file = save_torch(tmp_path / "sam.pth", as_torch(tensors))
    config_only = read_checkpoint(file, load_weights=False)
    assert (config_only.config, config_only.arrays) == (checkpoint.config, {})


def test_written_tensors_have_the_names_and_layouts_of_meta(tmp_path, tensors, checkpoint):
    write_meta(tmp_path / "sam.safetensors", checkpoint, dtype="float32")
    assert_same_arrays(load_file(tmp_path / "sam.safetensors"), tensors)


def test_another_decoder_among_the_weights_raises(tmp_path, tensors):
    """A file does not contain which of two decoders belongs to SAM."""
    mixed = {f"sam.{name}": tensor for name, tensor in as_torch(tensors).items()}
    mixed["decoder.out_conv.bias"] = torch.zeros(2)
    file = save_torch(tmp_path / "sam.pth", {"model_state": mixed})
    assert_refused(file, "not a SAM model with Meta's tensor names; expected one of the tensors")
    flat = as_torch(tensors) | {"decoder.out_conv.bias": torch.zeros(2)}
    assert_refused(save_torch(tmp_path / "x.pth", flat), r"unexpected decoder\.out_conv\.bias")


def test_missing_and_unexpected_tensors_are_listed(tmp_path, tensors):
    tensors["mask_decoder.iou_token.wait"] = tensors.pop(
        "mask_decoder.transformer.norm_final_attn.bias"
    )
    save_file(tensors, tmp_path / "sam.safetensors")
    assert_refused(
        tmp_path / "sam.safetensors",
        r"missing mask_decoder\.transformer\.norm_final_attn\.bias; "
        r"unexpected mask_decoder\.iou_token\.wait",
    )


def test_misshapen_tensors_are_listed(tmp_path, tensors):
    for name in ("neck.1.weight", "neck.3.bias"):
        tensors[f"image_encoder.{name}"] = np.zeros(3, "float32")
    save_file(tensors, tmp_path / "sam.safetensors")
    assert_refused(
        tmp_path / "sam.safetensors",
        r"neck\.1\.weight has shape \(3,\), expected \(16,\), .*neck\.3\.bias",
    )


def test_other_models_raise(tmp_path):
    save_file({"a": np.zeros(2, "float32")}, tmp_path / "x.safetensors")
    assert_refused(tmp_path / "x.safetensors", "not a SAM model with Meta's tensor names")
    file = save_torch(tmp_path / "x.pth", {"a": torch.zeros(2)})
    assert_refused(file, "not a SAM model with Meta's tensor names")


def test_values_that_are_not_finite_raise(tmp_path, tensors):
    tensors["mask_decoder.iou_token.weight"][0, 3] = np.nan
    save_file(tensors, tmp_path / "sam.safetensors")
    assert_refused(tmp_path / "sam.safetensors", r"iou_token\.weight .* NaN")


def test_integers_of_the_model_raise(tmp_path, tensors):
    integers = {"mask_decoder.bn.num_batches_tracked": np.zeros((), "int64")}
    save_file(tensors | integers, tmp_path / "sam.safetensors")
    assert_refused(tmp_path / "sam.safetensors", "has the type 'I64'")


def test_files_are_not_replaced(tmp_path, checkpoint):
    (tmp_path / "sam.pth").write_text("mine")
    with pytest.raises(CheckpointError, match="exists; choose another name"):
        write_meta(tmp_path / "sam.pth", checkpoint, dtype="float32")
    assert (tmp_path / "sam.pth").read_text() == "mine"


def test_other_suffixes_and_models_raise(tmp_path, checkpoint):
    with pytest.raises(CheckpointError, match=r"must end in \.safetensors or \.pth"):
        write_meta(tmp_path / "sam.h5", checkpoint, dtype="float32")
    with pytest.raises(CheckpointError, match="ViTDetBackbone alone; expected a SAMBackbone"):
        write_meta(tmp_path / "sam.pth", image_encoder_of(checkpoint), dtype="float32")
    assert not any(tmp_path.iterdir())
