"""Exports as a whole: the report, errors, and that nothing stays behind."""

import dataclasses
import importlib
import json

import keras
import pytest

from keras_sam.export.check import ExportCheckError
from keras_sam.export.export_model import export_model, resolve_options
from keras_sam.export.formats.export_format import LoadedProgram
from keras_sam.export.formats.registry import EXPORT_FORMATS
from keras_sam.export.options import ExportOptions
from keras_sam.models.weights_hash import weights_hash
from keras_sam.transforms.inference_config import NAMED_CONFIGS

pytestmark = pytest.mark.torch
module = importlib.import_module("keras_sam.export.export_model")


def test_report_is_written_beside_the_files(onnx_export, meta_model):
    directory, report = onnx_export
    written = json.loads((directory / "export.json").read_text())
    assert written == json.loads(json.dumps(dataclasses.asdict(report)))
    assert (report.model, report.format, report.layout) == ("meta", "onnx", "meta")
    assert report.preset_hash == weights_hash(meta_model.backbone)
    assert report.frame == 64
    assert report.files == {
        name: (directory / name).stat().st_size for name in ("decoder.onnx", "encoder.onnx")
    }
    assert {one.output for one in report.differences} == {
        *("image_embeddings", "masks", "iou_predictions", "low_res_masks"),
    }
    assert all(one.relative_error < 1e-4 for one in report.differences)
    assert report.versions["keras"] == keras.__version__
    assert report.inputs["decoder"][1] == {
        "name": "point_coords",
        "shape": ["num_prompts", "num_points", 2],
        "dtype": "float32",
    }


@pytest.fixture
def toy_format(monkeypatch):
    """A format that computes with the programs themselves, with an optional error."""
    state = {"factor": 1}

    def write(programs, options, directory):
        for program in programs:
            (directory / program.name).write_text("toy")
        return [directory / program.name for program in programs]

    def load(program, path):
        shapes = {
            spec.name: tuple(None if isinstance(side, str) else side for side in spec.shape)
            for spec in program.inputs
        }

        def run(inputs):
            outputs = module_reference(program, inputs, with_stages=False)
            return {name: state["factor"] * array for name, array in outputs.items()}

        return LoadedProgram(shapes, run)

    from keras_sam.export.program import run_reference as module_reference

    format = dataclasses.replace(EXPORT_FORMATS["torch"], name="toy", write=write, load=load)
    monkeypatch.setitem(module.EXPORT_FORMATS, "toy", format)
    return state


def test_new_format_needs_one_row_only(toy_format, segmenter, tmp_path):
    report = export_model(segmenter, tmp_path / "out", format="toy")
    assert report.format == "toy"
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["decoder", "encoder", "export.json"]


def test_failed_check_leaves_nothing_behind(toy_format, segmenter, tmp_path):
    toy_format["factor"] = 1.1
    with pytest.raises(ExportCheckError, match="image_embeddings of encoder differs"):
        export_model(segmenter, tmp_path / "out", format="toy")
    assert list(tmp_path.iterdir()) == []


def test_failed_check_keeps_an_earlier_export(toy_format, segmenter, tmp_path):
    export_model(segmenter, tmp_path / "out", format="toy")
    before = (tmp_path / "out" / "export.json").read_bytes()
    toy_format["factor"] = 1.1
    with pytest.raises(ExportCheckError):
        export_model(segmenter, tmp_path / "out", format="toy")
    assert (tmp_path / "out" / "export.json").read_bytes() == before


def test_other_directories_are_not_replaced(toy_format, segmenter, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="contains something else than an export"):
        export_model(segmenter, tmp_path, format="toy")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_formats_that_are_static_have_the_number_of_points(toy_format, segmenter, tmp_path):
    format = dataclasses.replace(module.EXPORT_FORMATS["toy"], is_static=True)
    module.EXPORT_FORMATS["toy"] = format
    options = ExportOptions(num_points=5)
    report = export_model(segmenter, tmp_path / "out", format="toy", options=options)
    assert report.inputs["decoder"][1]["shape"] == [1, 5, 2]


@pytest.mark.parametrize(
    ("format", "options", "message"),
    [
        ("onx", {}, "format must be one of onnx, openvino, litert, .*, got 'onx'"),
        ("onnx", {"layout": "mata"}, "layout must be one of meta, transformers, .*, got 'mata'"),
        ("onnx", {"weights": "int8"}, "must be one of float16, float32, uint8, got 'int8'"),
        ("torch", {"layout": "cvat"}, "layout cvat needs shapes .* use format onnx or openvino"),
        ("torch", {"preprocess": True}, "preprocess needs shapes .* use format onnx or openvino"),
        ("onnx", {"layout": "osam", "preprocess": True}, "use preprocess with layout meta"),
        ("onnx", {"layout": "transformers", "single_mask": True}, "use layout meta"),
        ("onnx", {"num_points": 0}, "num_points must be at least 1, got 0"),
        ("litert", {}, "from the backend tensorflow, got torch; set KERAS_BACKEND=tensorflow"),
    ],
)
def test_options_that_do_not_fit_raise(segmenter, format, options, message):
    with pytest.raises(ValueError, match=message):
        resolve_options(segmenter, format, ExportOptions(**options))


def test_layouts_without_early_features_raise(high_quality_segmenter):
    with pytest.raises(ValueError, match="early features of SAM-HQ; use layout meta"):
        resolve_options(high_quality_segmenter, "onnx", ExportOptions(layout="osam"))


def test_other_preprocessing_raises(tiny_segmenter):
    model = tiny_segmenter(0)
    model.inference_config = NAMED_CONFIGS["medsam"]
    with pytest.raises(ValueError, match="use format torch, savedmodel or stablehlo"):
        resolve_options(model, "onnx", ExportOptions())
    resolve_options(model, "torch", ExportOptions())


def test_other_dtypes_raise(segmenter):
    model = segmenter.with_image_shape((64, 64, 3), dtype="bfloat16")
    with pytest.raises(ValueError, match="must be float32, got bfloat16; load it with dtype="):
        resolve_options(model, "onnx", ExportOptions())


def test_quantized_models_raise(tiny_segmenter):
    model = tiny_segmenter(0)
    model.backbone.image_encoder.blocks[0].mlp.dense_layers[0].quantize("int8")
    with pytest.raises(ValueError, match="export the model before quantize"):
        resolve_options(model, "onnx", ExportOptions())


def test_missing_package_raises(monkeypatch, segmenter):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'keras-sam\[export\]'"):
        resolve_options(segmenter, "onnx", ExportOptions())
    with pytest.raises(ImportError, match=r"pip install 'keras-sam\[export,openvino\]'"):
        resolve_options(segmenter, "openvino", ExportOptions())


def test_consumers_frame_is_the_default(segmenter):
    *_, options = resolve_options(segmenter, "onnx", ExportOptions(layout="samexporter"))
    assert (options.frame, options.single_mask, options.weights) == (1024, True, "float16")
    *_, options = resolve_options(segmenter, "onnx", ExportOptions())
    assert (options.frame, options.single_mask) == (None, False)
