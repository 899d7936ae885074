import numpy as np
import onnx_ir
import pytest

from keras_sam.export.check import check_program
from keras_sam.export.formats import onnx_format
from keras_sam.export.formats.onnx_format import ONNX
from keras_sam.export.options import ExportOptions

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("weights", ["float16", "uint8"])
def test_smaller_weights_pass_the_check(monkeypatch, onnx_export, meta_programs, tmp_path, weights):
    directory, report = onnx_export
    monkeypatch.setattr(
        onnx_format,
        "program_to_onnx",
        lambda program: onnx_ir.load(directory / f"{program.name}.onnx"),
    )
    paths = ONNX.write(meta_programs, ExportOptions(weights=weights), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decoder.onnx", "encoder.onnx"]
    assert all(path.stat().st_size < report.files[path.name] for path in paths)
    arrays = {}
    for program, path in zip(meta_programs, paths, strict=True):
        for one in check_program(ONNX, program, path, weights=weights, earlier=arrays):
            assert one.relative_error > 1e-6


def test_weights_beyond_the_limit_are_a_second_file(monkeypatch, onnx_export, tmp_path):
    monkeypatch.setattr(onnx_format, "MAX_BYTES", 1000)
    model = onnx_ir.load(onnx_export[0] / "encoder.onnx")
    onnx_format.save_onnx(model, tmp_path / "encoder.onnx")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["encoder.onnx", "encoder.onnx.data"]
    restored = onnx_ir.load(tmp_path / "encoder.onnx")
    for name, value in model.graph.initializers.items():
        array = restored.graph.initializers[name].const_value.numpy()
        np.testing.assert_array_equal(array, value.const_value.numpy())
