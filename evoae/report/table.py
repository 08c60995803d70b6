"""A table of names and numbers, printed and as a CSV file."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evoae.report.output_files import replacing

WIDEST = 1_000  # characters of a table


def print_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows below the names of their columns; numbers at the right, NaN and None as blanks.

    Where the console is narrower than the table, lines go on beyond it: no number is cut off.

    >>> import sys
    >>> console = Console(file=sys.stdout, width=80)
    >>> rows = [["mean image", 0.1, None]]
    >>> print_table(console, ["", "error", "seconds"], rows)  # doctest: +NORMALIZE_WHITESPACE
                error  seconds
    mean image  0.1000
    """
    table = Table(box=None)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(format_cell(cell) for cell in row))
    table.width = console.measure(table, options=console.options.update(width=WIDEST)).maximum
    console.print(table, crop=False)


def format_cell(cell: object) -> str:
    """Writes a cell for people: four digits after the point or one, thousands apart, no None.

    >>> format_cell(0.25), format_cell(1234.5), format_cell(1234), format_cell(None)
    ('0.2500', '1,234.5', '1,234', '')
    """
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float):
        return f"{cell:.4f}" if abs(cell) < 10 else f"{cell:,.1f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes rows below the names of their columns, as CSV; None as nothing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "table.csv"
    ...     write_table(file, ["name", "error"], [["mean", 0.1], ["other", None]])
    ...     print(file.read_text().split())
    ['name,error', 'mean,0.1', 'other,']
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    with replacing(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
