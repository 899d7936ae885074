import pytest

from keras_sam.export.check import check_program
from keras_sam.export.formats.torch_format import TORCH
from keras_sam.export.options import ExportOptions

pytestmark = pytest.mark.torch


def test_file_passes_the_check_and_contains_weights_once(meta_programs, tmp_path):
    import torch

    encoder = meta_programs[0]
    (path,) = TORCH.write((encoder,), ExportOptions(weights="float32"), tmp_path)
    check_program(TORCH, encoder, path, weights="float32", earlier={})
    exported = torch.export.load(path)
    stored = sum(array.numel() for array in exported.constants.values())
    needed = sum(layer.count_params() for layer in encoder.layers)
    assert needed <= stored < 1.2 * needed  # with tables of indices
