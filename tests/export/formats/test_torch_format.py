import pytest

from keras_sam.export.check import check_program
from keras_sam.export.formats.torch_format import TORCH
from keras_sam.export.options import ExportOptions

pytestmark = pytest.mark.torch


def test_file_passes_the_check_and_contains_weights_once(meta_programs, tmp_path):
    decoder = meta_programs[1]
    (path,) = TORCH.write((decoder,), ExportOptions(weights="float32"), tmp_path)
    embedding = decoder.example()["image_embeddings"] + 1
    check_program(TORCH, decoder, path, weights="float32", earlier={"image_embeddings": embedding})
    num_bytes = sum(4 * layer.count_params() for layer in decoder.layers)
    assert path.stat().st_size < 1.5 * num_bytes + 600_000
