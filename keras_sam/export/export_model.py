"""`export_model`: a model as files that other programs load."""

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from keras_sam.export.check import Difference, check_program
from keras_sam.export.formats.export_format import ExportFormat
from keras_sam.export.formats.registry import EXPORT_FORMATS
from keras_sam.export.frame import frame_of
from keras_sam.export.layouts.layout import Layout
from keras_sam.export.layouts.registry import LAYOUTS
from keras_sam.export.merge_adapters import merge_adapters
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import POINTS, PROMPTS, Arrays, ArraySpec, Program
from keras_sam.files.atomic_directory import replace_directory
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.weights_hash import weights_hash
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing

REPORT = "export.json"


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote, and how it differs from the model.

    Attributes:
        model: Name of the preset or model.
        preset_hash: Hash of the weights, see `weights_hash`.
        format: Name of the format.
        layout: Name of the layout.
        weights: Type of the stored weights.
        frame: Side of the frame in pixels.
        single_mask: If True, the decoder returns the best mask of a prompt.
        preprocess: If True, the image encoder's file resizes and normalizes images.
        inputs: Inputs of each program: name, shape and dtype.
        outputs: Outputs of each program.
        files: Sizes in bytes by relative path.
        differences: Largest difference of each output from the model.
        versions: Versions of the packages.
        created: Time of the export, in ISO 8601.
    """

    model: str
    preset_hash: str
    format: str
    layout: str
    weights: str
    frame: int
    single_mask: bool | None
    preprocess: bool
    inputs: dict[str, list[dict[str, Any]]]
    outputs: dict[str, list[dict[str, Any]]]
    files: dict[str, int]
    differences: list[Difference]
    versions: dict[str, str]
    created: str


def export_model(
    model: SAMImageSegmenter,
    directory: str | Path,
    *,
    format: str = "onnx",
    options: ExportOptions | None = None,
    name: str | None = None,
) -> ExportReport:
    """Write a model as files that other programs load, and check them in their own runtime.

    The files are written to a temporary directory, which replaces `directory` after the check.

    Args:
        model: Segmenter in float32. Adapters of LoRA are merged.
        directory: Path of the new directory. A directory of an earlier export is replaced.
        format: Name of a format in `EXPORT_FORMATS`.
        options: Choices for the files.
        name: Name of the model in the report. Defaults to that of the Keras model.

    Returns:
        The report, which is also written as `export.json`.

    Raises:
        ExportCheckError: If the files differ from the model.
        ImportError: If a package is missing.
        ValueError: If the options do not fit the format, the layout or the model.
    """
    layout, target, options = resolve_options(model, format, options or ExportOptions())
    directory = Path(directory)
    _check_directory(directory)
    model = merge_adapters(model)
    programs = _programs(model, layout, target, options)
    with replace_directory(directory) as temporary:
        paths = target.write(programs, options, temporary)
        differences: list[Difference] = []
        arrays: Arrays = {}
        for program, path in zip(programs, paths, strict=True):
            weights = str(options.weights)
            differences += check_program(target, program, path, weights=weights, earlier=arrays)
        for relative, content in (layout.files(model, options) if layout.files else {}).items():
            (temporary / relative).write_bytes(content)
        stages = {"with_stages": target.with_stages}
        sizes = programs[-1].sizes if target.is_static else {}
        report = ExportReport(
            model=name or model.name,
            preset_hash=weights_hash(model.backbone),
            format=target.name,
            layout=layout.name,
            weights=str(options.weights),
            frame=frame_of(model, options.frame).side,
            single_mask=options.single_mask,
            preprocess=options.preprocess,
            inputs={one.name: _describe(one.file_inputs(**stages), sizes) for one in programs},
            outputs={one.name: _describe(one.file_outputs(**stages), sizes) for one in programs},
            files=_sizes(temporary),
            differences=differences,
            versions=_versions(target),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        text = json.dumps(dataclasses.asdict(report), indent=2)
        (temporary / REPORT).write_text(text + "\n")
    return report


def resolve_options(
    model: SAMImageSegmenter, format: str, options: ExportOptions
) -> tuple[Layout, ExportFormat, ExportOptions]:
    """Look up a format and a layout, and check that they can export a model.

    Returns:
        The layout, the format, and the options without `None` where there is a default.

    Raises:
        ImportError: If a package is missing.
        ValueError: If the options do not fit the format, the layout or the model.
    """
    target = _look_up("format", format, EXPORT_FORMATS)
    layout = _look_up("layout", options.layout, LAYOUTS)
    weights = options.weights or target.weights[0]
    if weights not in target.weights:
        raise ValueError(
            f"weights of format {format} must be one of {', '.join(target.weights)}, got "
            f"'{weights}'"
        )
    if not target.with_stages and (layout.needs_stages or options.preprocess):
        reason = f"layout {layout.name}" if layout.needs_stages else "preprocess"
        raise ValueError(
            f"{reason} needs shapes that depend on values, which {format} lacks; use format onnx "
            "or openvino"
        )
    if options.preprocess and not layout.preprocess:
        raise ValueError(
            f"programs for layout {layout.name} normalize images themselves; use preprocess with "
            "layout meta or samexporter"
        )
    if options.single_mask is not None and layout.single_mask is None:
        raise ValueError(
            f"layout {layout.name} has three masks per prompt; use layout meta for a single mask"
        )
    if options.num_points < 1:
        raise ValueError(f"num_points must be at least 1, got {options.num_points}")
    _check_model(model, target, layout)
    _check_environment(target)
    single_mask = layout.single_mask if options.single_mask is None else options.single_mask
    height = model.backbone.image_shape[0]
    frame = options.frame
    if frame is None and layout.frame is not None and layout.frame % height == 0:
        frame = layout.frame
    return (
        layout,
        target,
        dataclasses.replace(options, weights=weights, single_mask=single_mask, frame=frame),
    )


def _programs(
    model: SAMImageSegmenter, layout: Layout, target: ExportFormat, options: ExportOptions
) -> tuple[Program, ...]:
    programs: tuple[Program, ...] = layout.build(model, options)
    if target.is_static:
        sizes = {PROMPTS: 1, POINTS: options.num_points}
        programs = tuple(dataclasses.replace(program, sizes=sizes) for program in programs)
    return programs


def _check_model(model: SAMImageSegmenter, target: ExportFormat, layout: Layout) -> None:
    if not isinstance(model, SAMImageSegmenter):
        raise TypeError(f"expected a SAMImageSegmenter, got {type(model).__name__}")
    if model.compute_dtype != "float32" or model.variable_dtype != "float32":
        raise ValueError(
            f"the model to export must be float32, got {model.dtype_policy.name}; load it with "
            "dtype='float32', and use weights='float16' for smaller files"
        )
    if any(getattr(layer, "quantization_mode", None) for layer in model._flatten_layers()):
        raise ValueError(
            "a quantized model cannot be exported, since its kernels exist on its backend only; "
            "export the model before quantize, with format onnx and weights uint8"
        )
    decoder = model.backbone.mask_decoder
    if decoder.early_feature_dim and not layout.high_quality:
        raise ValueError(
            f"layout {layout.name} has no input for the early features of SAM-HQ; use layout meta "
            "or samexporter"
        )
    config = model.inference_config
    is_plain = config.preprocessing == Preprocessing() and config.postprocessing == Postprocessing()
    if target.with_stages and not is_plain:
        raise ValueError(
            f"format {target.name} resizes images and masks as SAM does, which is wrong for the "
            f"model's preprocessing {config.preprocessing}; use format torch, savedmodel or "
            "stablehlo, whose files take prepared images and return low-res masks"
        )


def _check_environment(target: ExportFormat) -> None:
    backend = keras.backend.backend()
    if backend != target.backend:
        raise ValueError(
            f"format {target.name} is exported from the backend {target.backend}, got {backend}; "
            f"set KERAS_BACKEND={target.backend} before importing keras, or run keras-sam export"
        )
    missing = [package for package in target.packages if find_spec(package) is None]
    if missing:
        extras = "export,openvino" if "openvino" in missing else "export"
        raise ImportError(
            f"format {target.name} needs {', '.join(missing)}: pip install 'keras-sam[{extras}]'"
        )


def _check_directory(directory: Path) -> None:
    if not directory.exists() or not any(directory.iterdir()) or (directory / REPORT).is_file():
        return
    raise ValueError(f"{directory} contains something else than an export; choose a new directory")


def _look_up(kind: str, name: str, table: dict[str, Any]) -> Any:
    if name not in table:
        raise ValueError(f"{kind} must be one of {', '.join(table)}, got '{name}'")
    return table[name]


def _describe(specs: tuple[ArraySpec, ...], sizes: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "name": spec.name,
            "shape": [sizes.get(str(side), side) for side in spec.shape],
            "dtype": spec.dtype,
        }
        for spec in specs
    ]


def _sizes(directory: Path) -> dict[str, int]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.stat().st_size for path in files}


def _versions(target: ExportFormat) -> dict[str, str]:
    versions = {}
    for package in ("keras-sam", "keras", target.backend, *target.packages):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions
