"""ONNX files: as Meta's own export of the same checkpoint, and for MobileSAM's encoder."""

import json

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import pytest

from keras_sam.export.formats.onnx_model import program_to_onnx
from keras_sam.export.layouts.registry import LAYOUTS
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import run_reference
from tests.export.record_meta_decoder import CASES, FOLDER, inputs_of

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def recorded():
    return np.load(FOLDER / "outputs.npz")


@pytest.fixture(scope="module")
def session(onnx_export):
    return onnxruntime.InferenceSession(onnx_export[0] / "decoder.onnx")


def test_names_and_types_are_those_of_metas_export(session):
    signature = json.loads((FOLDER / "signature.json").read_text())
    for kind, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        assert [[value.name, value.type] for value in values] == signature[kind]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_outputs_are_those_of_metas_export(session, recorded, case):
    outputs = session.run(None, inputs_of(case))
    for value, output in zip(session.get_outputs(), outputs, strict=True):
        expected = recorded[f"False/{case}/{value.name}"]
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_single_masks_are_those_of_metas_export(meta_model, recorded, case):
    _, decoder = LAYOUTS["meta"].build(meta_model, ExportOptions(single_mask=True))
    outputs = run_reference(decoder, inputs_of(case), with_stages=True)
    for name, output in outputs.items():
        expected = recorded[f"True/{case}/{name}"]
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


def test_prompts_and_points_are_dynamic(session):
    shapes = {value.name: value.shape for value in session.get_inputs()}
    assert shapes["point_coords"] == ["num_prompts", "num_points", 2]
    assert shapes["point_labels"] == ["num_prompts", "num_points"]
    inputs = inputs_of(0)
    together = inputs | {
        "point_coords": np.repeat(inputs["point_coords"], 5, axis=0),
        "point_labels": np.repeat(inputs["point_labels"], 5, axis=0),
    }
    expected = session.run(None, inputs)
    for several, single in zip(session.run(None, together), expected, strict=True):
        np.testing.assert_allclose(several, np.repeat(single, 5, axis=0), rtol=1e-4, atol=1e-5)


def test_version_is_one_that_old_runtimes_load(onnx_export):
    for path in onnx_export[0].glob("*.onnx"):
        model = onnx.load(path)
        onnx.checker.check_model(model)
        assert model.ir_version == 8
        assert [(one.domain, one.version) for one in model.opset_import] == [("", 18)]


def test_files_contain_no_paths(onnx_export):
    for path in onnx_export[0].glob("*.onnx"):
        content = path.read_bytes()
        assert b".py" not in content
        assert b"site-packages" not in content


def test_mobile_sam_encoder_runs(mobile_segmenter):
    encoder, _ = LAYOUTS["meta"].build(mobile_segmenter, ExportOptions())
    model = onnx_ir.to_proto(program_to_onnx(encoder))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    images = np.random.default_rng(0).normal(size=encoder.inputs[0].shape).astype("float32")
    (actual,) = session.run(None, {"images": images})
    (expected,) = run_reference(encoder, {"images": images}, with_stages=True).values()
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)
