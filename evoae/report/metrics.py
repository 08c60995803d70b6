"""The numbers of a run as a CSV file, one row a generation."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evoae.files import open_file
from evoae.report.output_files import check_destination, replacing


def write_metrics(
    path: str | os.PathLike[str], columns: Mapping[str, npt.ArrayLike], append: bool = False
) -> None:
    """Writes named columns of numbers as CSV: a header, then one row a generation.

    Every number is written with as many digits as bring it back exactly in its own type.

    Args:
      path: a file name that ends in .csv.
      columns: arrays [G] of numbers by their names.
      append: add rows to the file, which must have the same header. Without a file there is
        nothing to add to, and a new one is begun.

    Raises:
      ValueError: no columns, lengths that differ, values that are no numbers, another header, or
        a file that ends within a row.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = f"{folder}/metrics.csv"
    ...     write_metrics(file, {"generation": [0, 1], "best": np.float32([0.3, 0.1])})
    ...     write_metrics(file, {"generation": [2], "best": np.float32([0.05])}, append=True)
    ...     print(pathlib.Path(file).read_text().split())
    ['generation,best', '0,0.3', '1,0.1', '2,0.05']
    """
    file = check_destination(path, ".csv")
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.kind not in "iuf":
            got = f"shape {array.shape}, dtype {array.dtype}"
            raise ValueError(f"columns[{name!r}] must be numbers of shape [G], got {got}")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(
            f"columns must be one or more, all of one length, got the lengths {lengths}"
        )

    header, rows = io.StringIO(), io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(arrays)
    texts = [array.astype(str) for array in arrays.values()]
    csv.writer(rows, lineterminator="\n").writerows(zip(*texts, strict=True))

    if append and file.exists():
        with file.open(encoding="utf-8", newline="") as existing:
            first = existing.readline()
        if first != header.getvalue():
            got, allowed = header.getvalue().strip(), first.strip()
            raise ValueError(f"columns must be those of the file, {allowed}, got {got}")
        with file.open("rb") as existing_bytes:
            existing_bytes.seek(-1, os.SEEK_END)
            if existing_bytes.read() != b"\n":
                raise ValueError(
                    f"path must end with a whole row, got {str(path)!r}; remove its last row"
                )
        with file.open("a", encoding="utf-8", newline="") as existing:
            existing.write(rows.getvalue())
    else:
        with replacing(file) as temporary:
            text = header.getvalue() + rows.getvalue()
            temporary.write_text(text, encoding="utf-8", newline="")


def read_metrics(
    path: str | os.PathLike[str], num_bytes: int | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Reads the columns that `write_metrics` wrote: int32 or float32 [G].

    Of its first `num_bytes`, or of all; a row that is not whole counts as not written. A file with
    none of it, or a damaged row, is a `ValueError`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = f"{folder}/metrics.csv"
    ...     write_metrics(file, {"generation": [0, 1], "best": np.float32([0.3, 0.1])})
    ...     read_metrics(file)
    {'generation': array([0, 1], dtype=int32), 'best': array([0.3, 0.1], dtype=float32)}
    """
    with open_file(Path(path)) as file:
        text = file.read(num_bytes).decode()
    try:
        header, *rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
        columns = list(zip(*rows, strict=True)) or [()] * len(header)
        return {name: _numbers(texts) for name, texts in zip(header, columns, strict=True)}
    except (ValueError, OverflowError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} has no whole table: {error}") from error


def _numbers(texts: Sequence[str]) -> npt.NDArray[Any]:
    try:
        return np.array([int(text) for text in texts], np.int32)
    except ValueError:
        return np.array(texts).astype(np.float32)
