"""`keras-sam convert`: a SAM model from any format to any."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_sam.cli.console import JsonOption, print_json, progress_bar, report_user_errors

if TYPE_CHECKING:
    from keras_sam.checkpoints.convert_checkpoint import Conversion


@report_user_errors
def convert_command(
    source: Annotated[
        str,
        typer.Argument(help="A preset's name or address, a directory, a .pth or .safetensors."),
    ],
    destination: Annotated[
        Path, typer.Argument(help="A directory; for meta a file, .pth or .safetensors.")
    ],
    to: Annotated[str, typer.Option("--to", help="keras, transformers or meta.")],
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            help="float32, float16 or bfloat16. Default: that of the source.",
            show_default=False,
        ),
    ] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            "--preprocessing",
            help="sam or medsam, how images are prepared. Default: what the source tells.",
            show_default=False,
        ),
    ] = None,
    fold_batch_norms: Annotated[
        bool,
        typer.Option(
            "--fold-batch-norms",
            help="Make the batch norms of a MobileSAM part of its convolutions, for speed.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Converts a checkpoint and reports what was read: every tensor by name, or an error."""
    from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
    from keras_sam.checkpoints.preprocessing import describe_preprocessing

    with progress_bar("tensors") as progress:
        report = convert_checkpoint(
            source,
            destination,
            to=to,
            dtype=dtype,
            preprocessing=preprocessing,
            fold_batch_norms=fold_batch_norms,
            progress=progress,
        )
    if as_json:
        print_json(dataclasses.asdict(report))
        return
    typer.echo(f"read      {report.source} ({report.source_format}, {report.class_name})")
    typer.echo(
        f"          {report.tensors} tensors, {report.parameters:,} parameters, "
        f"{', '.join(report.source_dtypes)}; {report.renamed} renamed, "
        f"{report.transposed} transposed"
    )
    if report.unused_tensors:
        typer.echo(
            f"          {report.unused_tensors} tensors left out, which the model does not use"
        )
    typer.echo(f"written   {report.destination} ({report.destination_format}, {report.dtype})")
    typer.echo(f"images    {describe_preprocessing(report.preprocessing)}{_warning(report)}")


def _warning(report: "Conversion") -> str:
    from keras_sam.checkpoints.preprocessing import parse_preprocessing

    is_of_sam = report.preprocessing == parse_preprocessing("sam", source=report.source)
    if is_of_sam or report.destination_format != "meta":
        return ""
    return "; the file does not tell, so give it again when you read it"
