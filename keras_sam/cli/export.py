"""`keras-sam export`: a model as files that other programs load."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_sam.cli.backend import choose_backend
from keras_sam.cli.console import (
    FoldBatchNormsOption,
    JsonOption,
    print_json,
    report_user_errors,
    spinner,
)

if TYPE_CHECKING:
    from keras_sam.export.export_model import ExportReport

# Backend that each format is exported from.
BACKENDS = {
    "onnx": "torch",
    "openvino": "torch",
    "torch": "torch",
    "litert": "tensorflow",
    "savedmodel": "tensorflow",
    "stablehlo": "jax",
}


@report_user_errors
def export_command(
    preset: Annotated[
        str,
        typer.Argument(help="Name from `keras-sam presets`, kaggle://..., hf://..., or a path."),
    ],
    directory: Annotated[Path, typer.Argument(help="New directory for the files.")],
    format: Annotated[
        str, typer.Option("--format", help=f"Format to write: {', '.join(BACKENDS)}.")
    ] = "onnx",
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            help="Names and shapes: meta, transformers, osam, samexporter or cvat. Default: meta.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Type of the stored weights: float16, float32, uint8 (ONNX) or int8 (LiteRT).",
            show_default=False,
        ),
    ] = None,
    frame: Annotated[
        int | None,
        typer.Option(
            "--frame",
            help="Side of the images in pixels, a multiple of the model's. Many tools need 1024.",
            show_default=False,
        ),
    ] = None,
    single_mask: Annotated[
        bool | None,
        typer.Option(
            "--single-mask/--all-masks",
            help="Return the best mask of a prompt, or all. Default: what the layout expects.",
            show_default=False,
        ),
    ] = None,
    preprocess: Annotated[
        bool | None,
        typer.Option(
            "--preprocess",
            help="Put resizing and normalizing into the image encoder's file.",
            show_default=False,
        ),
    ] = None,
    num_points: Annotated[
        int | None,
        typer.Option(
            "--points",
            help="Points per prompt in files with static shapes (LiteRT).",
            show_default=False,
        ),
    ] = None,
    fold_batch_norms: FoldBatchNormsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export a model to ONNX, OpenVINO, LiteRT and other formats, and check the files."""
    if format not in BACKENDS:
        raise ValueError(f"format must be one of {', '.join(BACKENDS)}, got '{format}'")
    choose_backend(BACKENDS[format])
    from keras_sam.export.export_model import export_model
    from keras_sam.export.options import ExportOptions
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

    chosen: dict[str, Any] = {
        "layout": layout,
        "weights": weights,
        "frame": frame,
        "single_mask": single_mask,
        "preprocess": preprocess,
        "num_points": num_points,
    }
    options = ExportOptions(**{key: value for key, value in chosen.items() if value is not None})
    with spinner("exporting"):
        model = SAMImageSegmenter.from_preset(
            preset, dtype="float32", fold_batch_norms=fold_batch_norms
        )
        report = export_model(model, directory, format=format, options=options, name=preset)
    if as_json:
        print_json(dataclasses.asdict(report))
    else:
        _print_report(report, directory)


def _print_report(report: "ExportReport", directory: Path) -> None:
    layout = f"{report.format}, layout {report.layout}, {report.weights} weights"
    typer.echo(f"written   {directory} ({layout})")
    for name, size in report.files.items():
        typer.echo(f"          {name}, {size / 1e6:.1f} MB")
    for name in report.inputs:
        typer.echo(f"{name}")
        typer.echo(f"  inputs  {_names(report.inputs[name])}")
        typer.echo(f"  outputs {_names(report.outputs[name])}")
    typer.echo("loss      relative error of each output, and pixels of masks that agree")
    for one in report.differences:
        agreement = "" if one.agreement is None else f", {one.agreement:.4%}"
        typer.echo(f"          {one.output}: {one.relative_error:.1e}{agreement}")


def _names(specs: list[dict[str, object]]) -> str:
    def text(spec: dict[str, object]) -> str:
        shape = spec["shape"]
        sides = ", ".join(map(str, shape)) if isinstance(shape, list) else ""
        return f"{spec['name']} [{sides}]"

    return ", ".join(map(text, specs))
