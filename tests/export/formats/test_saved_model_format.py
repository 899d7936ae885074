import pytest

from keras_sam.export.check import check_program
from keras_sam.export.formats.saved_model_format import SAVED_MODEL
from keras_sam.export.options import ExportOptions

pytestmark = pytest.mark.tensorflow


def check(programs, directory, weights):
    paths = SAVED_MODEL.write(programs, ExportOptions(weights=weights), directory)
    arrays = {}
    for program, path in zip(programs, paths, strict=True):
        check_program(SAVED_MODEL, program, path, weights=weights, earlier=arrays)
    return paths


def test_signatures_share_the_weights(meta_model, meta_programs, tmp_path):
    (path, _) = check(meta_programs, tmp_path, "float32")
    num_bytes = 4 * meta_model.count_params()
    (weights,) = path.glob("variables/*.data-*")
    assert num_bytes <= weights.stat().st_size < 1.2 * num_bytes
