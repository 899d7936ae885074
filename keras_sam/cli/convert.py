"""`keras-sam convert`: a SAM model from any format to any other."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_sam.cli.console import (
    FoldBatchNormsOption,
    JsonOption,
    print_json,
    progress_bar,
    report_user_errors,
)

if TYPE_CHECKING:
    from keras_sam.checkpoints.convert_checkpoint import Conversion


@report_user_errors
def convert_command(
    source: Annotated[
        str,
        typer.Argument(help="Name or address of a preset, directory, .pth or .safetensors file."),
    ],
    destination: Annotated[
        Path,
        typer.Argument(help="New directory. For the format meta, new .pth or .safetensors file."),
    ],
    to: Annotated[str, typer.Option("--to", help="Format to write: keras, transformers or meta.")],
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            help="Type to write: float32, float16 or bfloat16. Default: the type of the source.",
            show_default=False,
        ),
    ] = None,
    inference_config: Annotated[
        str | None,
        typer.Option(
            "--inference-config",
            help="Inference settings: sam or medsam. Default: those of the source.",
            show_default=False,
        ),
    ] = None,
    fold_batch_norms: FoldBatchNormsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Convert a checkpoint to another format."""
    from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint

    with progress_bar("tensors") as progress:
        report = convert_checkpoint(
            source,
            destination,
            to=to,
            dtype=dtype,
            inference_config=inference_config,
            fold_batch_norms=fold_batch_norms,
            progress=progress,
        )
    if as_json:
        print_json(dataclasses.asdict(report))
    else:
        _print_report(report)


def _print_report(report: "Conversion") -> None:
    from keras_sam.transforms.inference_config import InferenceConfig, describe_inference_config

    typer.echo(f"read      {report.source} ({report.source_format}, {report.class_name})")
    typer.echo(
        f"          {report.tensors} tensors, {report.parameters:,} parameters, "
        f"{', '.join(report.source_dtypes)}; {report.renamed} renamed, "
        f"{report.transposed} transposed"
    )
    if report.unused_tensors:
        typer.echo(f"          {report.unused_tensors} unused tensors ignored")
    typer.echo(f"written   {report.destination} ({report.destination_format}, {report.dtype})")
    settings = describe_inference_config(report.inference_config)
    if report.destination_format == "meta" and report.inference_config != InferenceConfig():
        settings += "; not stored in this format, so give it again when you load the file"
    typer.echo(f"settings  {settings}")
