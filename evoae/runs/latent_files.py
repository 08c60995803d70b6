"""Latents in files: CSV for people and tables, .npz for programs."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.checks import check_choice
from evoae.files import open_file, read_arrays, user_path
from evoae.report.output_files import check_destination, replacing
from evoae.report.table import write_table

IMAGE, LABEL, LATENT = "image", "label", "latent_"  # the columns of a CSV file


class Latents(NamedTuple):
    """What an encoder made of images.

    Attributes:
      values: float32 [N, L].
      images: the names of the images, N of them.
      labels: integers [N], or None where there are none.
    """

    values: npt.NDArray[np.float32]
    images: Sequence[str]
    labels: npt.NDArray[Any] | None = None


def write_latents(path: str | os.PathLike[str], latents: Latents) -> None:
    """Writes latents, with the names and the labels of their images.

    Args:
      path: a file name that ends in .csv, for columns image, label (where there are labels) and
        latent_1 .. latent_L; or in .npz, for arrays latents [N, L], images [N] and labels [N].
      latents: what to write; every float32 is read back as it was.

    Raises:
      ValueError: another ending, or a folder that does not exist.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "latents.csv"
    ...     write_latents(file, Latents(np.float32([[0.1, 2]]), ["a.png"], np.array([7])))
    ...     print(file.read_text().split(), read_latents(file).values.tolist())
    ['image,label,latent_1,latent_2', 'a.png,7,0.1,2.0'] [[0.10000000149011612, 2.0]]
    """
    file, (values, images, labels) = check_latents_file(path), latents
    if file.suffix.lower() == ".csv":
        of_labels = [] if labels is None else [labels.tolist()]
        columns = [IMAGE, *([] if labels is None else [LABEL])]
        columns += [f"{LATENT}{i + 1}" for i in range(values.shape[1])]
        write_table(file, columns, zip(images, *of_labels, *values.T.astype(str), strict=True))
        return
    arrays: dict[str, Any] = {"latents": values, "images": np.array(images), "labels": labels}
    if labels is None:
        del arrays["labels"]
    with replacing(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, **arrays)


def check_latents_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file for latents; one that ends otherwise, or in no folder, is an error."""
    suffix = Path(path).suffix.lower()
    check_choice("the end of the file of latents", suffix, (".csv", ".npz"))
    return check_destination(path, suffix)


def read_latents(path: str | os.PathLike[str]) -> Latents:
    """Reads what `write_latents` wrote, or a file like it: names and labels may be left out.

    Raises:
      ValueError: it is damaged, or has no latents.
      OSError: it cannot be read.
    """
    file = user_path(path)
    check_choice("the end of the file of latents", file.suffix.lower(), (".csv", ".npz"))
    try:
        values, images, labels = (
            _read_csv(file) if file.suffix.lower() == ".csv" else _read_npz(file)
        )
        values = np.asarray(values, np.float32)
        if values.ndim != 2 or 0 in values.shape or not np.isfinite(values).all():
            raise ValueError(f"latents must be finite numbers [N, L], got {list(values.shape)}")
        images = [f"{i:05}" for i in range(len(values))] if images is None else images
        if len(images) != len(values):
            raise ValueError(f"images must be {len(values)} names, got {len(images)}")
    except (ValueError, LookupError, csv.Error) as error:
        raise ValueError(f"latents: {str(path)!r} cannot be read: {error}") from error
    return Latents(values, images, labels)


def _read_csv(file: Path) -> tuple[Any, Any, Any]:
    with open_file(file) as opened:
        rows = list(csv.DictReader(io.StringIO(opened.read().decode("utf-8-sig"), newline="")))
    names = [name for name in (rows[0] if rows else ()) if (name or "").startswith(LATENT)]
    if not names:
        raise ValueError(f"it must have the columns {LATENT}1, {LATENT}2 and so on, and rows")
    names = [f"{LATENT}{i + 1}" for i in range(len(names))]
    if any(row[name] is None for row in rows for name in names):
        raise ValueError("it has a row that ends too soon")
    columns = {name: [row[name] for row in rows] for name in (IMAGE, LABEL) if name in rows[0]}
    values = [[float(row[name]) for name in names] for row in rows]
    labels = columns.get(LABEL)
    return values, columns.get(IMAGE), None if labels is None else np.array(labels)


def _read_npz(file: Path) -> tuple[Any, Any, Any]:
    arrays = read_arrays(file, ("latents", "images", "labels"))
    if "latents" not in arrays or arrays["latents"].dtype.kind not in "fiu":
        raise ValueError("it must have an array latents of numbers")
    images = arrays.get("images")
    return (
        arrays["latents"],
        None if images is None else images.astype(str).tolist(),
        arrays.get("labels"),
    )
