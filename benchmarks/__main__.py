"""`python -m benchmarks PART`: measures a part of the project and prints a table."""

import typer

from benchmarks import (
    auto_points,
    batch,
    calibration,
    click,
    compare,
    contrast,
    everything,
    gpu,
    int8,
    loading,
    pictures,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
app.command("auto")(auto_points.main)
app.command("batch")(batch.main)
app.command("calibration")(calibration.main)
app.command("click")(click.main)
app.command("compare")(compare.main)
app.command("contrast")(contrast.main)
app.command("gpu")(gpu.main)
app.command("everything")(everything.main)
app.command("int8")(int8.main)
app.command("loading")(loading.main)
app.command("pictures")(pictures.main)


if __name__ == "__main__":
    app()
