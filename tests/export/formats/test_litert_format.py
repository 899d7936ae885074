import dataclasses

import pytest

from keras_sam.export.check import check_program
from keras_sam.export.formats.litert_format import LITERT
from keras_sam.export.options import ExportOptions

pytestmark = pytest.mark.tensorflow


def check(programs, directory, weights):
    paths = LITERT.write(programs, ExportOptions(weights=weights), directory)
    arrays = {}
    for program, path in zip(programs, paths, strict=True):
        check_program(LITERT, program, path, weights=weights, earlier=arrays)
    return paths


def test_smaller_weights_pass_the_check(meta_programs, tmp_path):
    sizes = {"num_prompts": 1, "num_points": 4}
    programs = tuple(dataclasses.replace(program, sizes=sizes) for program in meta_programs)
    num_bytes = []
    for weights in LITERT.weights:
        directory = tmp_path / weights
        directory.mkdir()
        paths = check(programs, directory, weights)
        num_bytes.append(sum(path.stat().st_size for path in paths))
    exact, half, quantized = num_bytes
    assert exact > half > quantized
