"""`python -m benchmarks PART`: measures a part of the project and prints a table."""

import typer

from benchmarks import loading

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
app.command("loading")(loading.main)


@app.callback()
def _parts() -> None:
    """Keeps the name of the only part so far a word of the command."""


if __name__ == "__main__":
    app()
