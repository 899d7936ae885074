"""`create_console`, `print_table`: tables on standard output."""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

TABLE_WIDTH = 150  # of output that is not a terminal


def create_console() -> Console:
    """Return a console as wide as the terminal, or `TABLE_WIDTH` if there is none."""
    return Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table.

    Args:
        title: Line of text above the table.
        columns: Headings. The first column is aligned left, the others right.
        rows: Cells of each row.
    """
    console = create_console()
    console.print(title, highlight=False)
    table = Table(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
