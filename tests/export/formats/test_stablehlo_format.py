import pytest

from keras_sam.export.check import check_program
from keras_sam.export.formats.stablehlo_format import STABLEHLO
from keras_sam.export.options import ExportOptions

pytestmark = pytest.mark.jax


def check(programs, directory, weights):
    paths = STABLEHLO.write(programs, ExportOptions(weights=weights), directory)
    arrays = {}
    for program, path in zip(programs, paths, strict=True):
        check_program(STABLEHLO, program, path, weights=weights, earlier=arrays)
    return paths


def test_files_pass_the_check_on_three_platforms(meta_programs, tmp_path):
    from jax import export
    from safetensors.numpy import load_file

    for path in check(meta_programs, tmp_path, "float32"):
        exported = export.deserialize(path.read_bytes())
        assert exported.platforms == ("cpu", "cuda", "tpu")
        weights = load_file(path.with_suffix(".safetensors"))
        assert sum(array.nbytes for array in weights.values()) > 10_000
