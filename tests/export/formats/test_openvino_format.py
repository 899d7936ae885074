import onnx_ir
import pytest

from keras_sam.export.check import check_program
from keras_sam.export.formats import openvino_format
from keras_sam.export.formats.openvino_format import OPENVINO
from keras_sam.export.options import ExportOptions

pytestmark = pytest.mark.torch


def test_files_pass_the_check(monkeypatch, onnx_export, meta_programs, tmp_path):
    monkeypatch.setattr(
        openvino_format,
        "program_to_onnx",
        lambda program: onnx_ir.load(onnx_export[0] / f"{program.name}.onnx"),
    )
    paths = OPENVINO.write(meta_programs, ExportOptions(weights="float16"), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["decoder.bin", "decoder.xml", "encoder.bin", "encoder.xml"]
    arrays = {}
    for program, path in zip(meta_programs, paths, strict=True):
        check_program(OPENVINO, program, path, weights="float16", earlier=arrays)
