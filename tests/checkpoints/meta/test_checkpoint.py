"""Files with Meta's tensor names: `.pth` and `.safetensors`, wrapped, prefixed, damaged.

That the numbers are those of another implementation is checked in tests/models/test_formats.py.
"""

import pickle

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.torch_layout import to_torch_layout
from keras_sam.checkpoints.transformers.tensor_names import transformers_name
from tests.checkpoints.meta_names import to_meta_name


@pytest.fixture
def tensors(checkpoint):
    return {
        to_meta_name(transformers_name(name, iou_head_depth=3)): to_torch_layout(name, array).copy()
        for name, array in checkpoint.arrays.items()
    }


def as_torch(tensors):
    return {name: torch.tensor(array) for name, array in tensors.items()}


def save_pickle(file, contents):
    torch.save(contents, file)
    return file


def assert_same(found, expected):
    assert found.config == expected.config
    assert set(found.arrays) == set(expected.arrays)
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def refused(file, match):
    with pytest.raises(CheckpointError, match=match):
        dict(read_checkpoint(file).arrays)


def test_safetensors(tmp_path, tensors, checkpoint):
    save_file(tensors, tmp_path / "sam.safetensors")
    assert_same(read_checkpoint(tmp_path / "sam.safetensors"), checkpoint)


def prefixed(tensors, prefix):
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        lambda x: {"state_dict": x, "epoch": 3},
        lambda x: {"model": x, "optimizer": {"state": {}}},
        lambda x: {"model_state": prefixed(x, "sam.")},
        # As micro-sam exports a model with the decoder of its automatic segmentation.
        lambda x: {"model_state": x, "decoder_state": {"decoder.blocks.0.bias": torch.zeros(2)}},
        lambda x: {"model_state": prefixed(x, "sam."), "decoder_state": {}, "iteration": 3},
        lambda x: {"state_dict": {"model": x}},
        lambda x: prefixed(x, "module."),
        lambda x: prefixed(x, "module.sam."),
        lambda x: x | {"pixel_mean": torch.zeros(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)},
    ],
)
def test_pickled(tmp_path, tensors, checkpoint, wrap):
    file = save_pickle(tmp_path / "sam.pth", wrap(as_torch(tensors)))
    assert_same(read_checkpoint(file), checkpoint)


def test_a_decoder_among_the_weights_is_left_over(tmp_path, tensors):
    """A UNETR beside the model is told apart by its place alone: here it might be anything."""
    mixed = prefixed(as_torch(tensors), "sam.") | {"decoder.out_conv.bias": torch.zeros(2)}
    file = save_pickle(tmp_path / "sam.pth", {"model_state": mixed})
    refused(file, r"not a SAM model of Meta: expected the tensor .*, found none")
    flat = as_torch(tensors) | {"decoder.out_conv.bias": torch.zeros(2)}
    refused(save_pickle(tmp_path / "flat.pth", flat), r"left over decoder\.out_conv\.bias")


def test_the_older_format_of_pytorch(tmp_path, tensors, checkpoint):
    file = tmp_path / "sam.pt"
    torch.save(as_torch(tensors), file, _use_new_zipfile_serialization=False)
    assert_same(read_checkpoint(file), checkpoint)


def test_a_parameter_of_a_model(tmp_path, tensors, checkpoint):
    parameters = {name: torch.nn.Parameter(x) for name, x in as_torch(tensors).items()}
    assert_same(read_checkpoint(save_pickle(tmp_path / "sam.pth", parameters)), checkpoint)


def test_bfloat16_is_kept(tmp_path, tensors):
    halves = {name: x.bfloat16() for name, x in as_torch(tensors).items()}
    arrays = read_checkpoint(save_pickle(tmp_path / "sam.pth", halves)).arrays
    assert {array.dtype.name for array in arrays.values()} == {"bfloat16"}
    found = arrays["mask_decoder/iou_token"].astype("float32")
    np.testing.assert_array_equal(found, halves["mask_decoder.iou_token.weight"].float().numpy())


def test_rectangle(tmp_path, tensors):
    """A table of positions that is not square, with global tables to fit."""
    tensors["image_encoder.pos_embed"] = np.zeros((1, 4, 6, 16), "float32")
    tensors["image_encoder.blocks.1.attn.rel_pos_w"] = np.zeros((11, 8), "float32")
    save_file(tensors, tmp_path / "sam.safetensors")
    config = read_checkpoint(tmp_path / "sam.safetensors").config
    assert config["image_encoder"]["config"]["image_shape"] == [64, 96, 3]
    assert config["image_encoder"]["config"]["global_attention_layer_indices"] == [1]


def test_config_without_weights(tmp_path, tensors, checkpoint):
    file = save_pickle(tmp_path / "sam.pth", as_torch(tensors))
    found = read_checkpoint(file, load_weights=False)
    assert (found.config, found.arrays) == (checkpoint.config, {})


class Evil:
    def __reduce__(self):
        return print, ("this must never run",)


def test_a_pickle_of_code(tmp_path, tensors, capsys):
    file = save_pickle(tmp_path / "sam.pth", as_torch(tensors) | {"evil": Evil()})
    refused(file, "damaged or holds more than tensors")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil()))
    refused(tmp_path / "plain.pth", "damaged or holds more than tensors")
    assert "never" not in capsys.readouterr().out


def test_missing_and_left_over_tensors_are_listed(tmp_path, tensors):
    tensors["mask_decoder.iou_token.wait"] = tensors.pop(
        "mask_decoder.transformer.norm_final_attn.bias"
    )
    save_file(tensors, tmp_path / "sam.safetensors")
    refused(
        tmp_path / "sam.safetensors",
        r"missing mask_decoder\.transformer\.norm_final_attn\.bias; "
        r"left over mask_decoder\.iou_token\.wait",
    )


def test_misshapen_tensors_are_listed(tmp_path, tensors):
    for name in ("neck.1.weight", "neck.3.bias"):
        tensors[f"image_encoder.{name}"] = np.zeros(3, "float32")
    save_file(tensors, tmp_path / "sam.safetensors")
    refused(
        tmp_path / "sam.safetensors",
        r"neck\.1\.weight has shape \(3,\), expected \(16,\); .*neck\.3\.bias",
    )


def test_not_a_sam_model(tmp_path):
    save_file({"a": np.zeros(2, "float32")}, tmp_path / "x.safetensors")
    refused(tmp_path / "x.safetensors", "not a SAM model of Meta: expected the tensor|lacks")
    refused(save_pickle(tmp_path / "x.pth", {"a": torch.zeros(2)}), "lacks|not a SAM model")
    refused(save_pickle(tmp_path / "y.pth", {"epoch": 3}), "expected tensors by name")
    refused(save_pickle(tmp_path / "z.pth", [torch.zeros(2)]), "expected tensors by name")


def test_damaged_files(tmp_path, tensors):
    whole = save_pickle(tmp_path / "sam.pth", as_torch(tensors)).read_bytes()
    for name, content in (("cut", whole[: len(whole) // 2]), ("empty", b""), ("text", b"hello")):
        (tmp_path / f"{name}.pth").write_bytes(content)
        refused(tmp_path / f"{name}.pth", "damaged or holds more")


def test_a_view_that_declares_more_than_the_file_holds(tmp_path, tensors):
    name = "image_encoder.pos_embed"
    wide = as_torch(tensors) | {name: torch.zeros(1, 1, 1, 1).expand(1, 1000, 1000, 16)}
    refused(save_pickle(tmp_path / "sam.pth", wide), "odd layout|declares")


def test_integers_and_not_finite(tmp_path, tensors):
    name = "mask_decoder.iou_token.weight"
    integers = as_torch(tensors) | {name: torch.zeros(1, 16, dtype=torch.int32)}
    refused(save_pickle(tmp_path / "sam.pth", integers), "expected")
    tensors[name][0, 3] = np.nan
    save_file(tensors, tmp_path / "sam.safetensors")
    refused(tmp_path / "sam.safetensors", r"iou_token\.weight .* NaN")


def test_other_kinds_of_file(tmp_path, tensors):
    (tmp_path / "sam.onnx").write_bytes(b"x")
    refused(tmp_path / "sam.onnx", "unknown kind")
    save_pickle(tmp_path / "sam.pth", as_torch(tensors))
    refused(tmp_path, r"has no config\.json; to read a file of Meta's in it, name it: .*sam\.pth")


def test_an_old_pytorch(tmp_path, tensors, monkeypatch):
    file = save_pickle(tmp_path / "sam.pth", as_torch(tensors))
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    refused(file, r"needs PyTorch 2\.10 or later, found 2\.9\.1")
