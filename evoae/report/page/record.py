"""All that a page shows of one run, and how it is read from the run's folder."""

import json
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.files import in_short, open_file, read_arrays
from evoae.report.metrics import read_metrics
from evoae.report.output_files import replacing

CONFIG, RESULT, METRICS = "config.json", "result.json", "metrics.csv"
VALIDATION = "validation.csv"
PICTURES = "report.npz"
PAGE = "report.html"
"""The name of the page in the folder of its run."""


class Record(NamedTuple):
    """All that a page shows of one run.

    Attributes:
      name: of its folder.
      settings: the configuration as JSON values, as in config.json.
      environment: device and versions, as in config.json.
      columns: numbers by generation, arrays [G] by the names of metrics.csv; may be empty.
      result: what result.json holds; empty before the end of a run.
      pictures: the arrays of report.npz; empty where there are none.
      validation: "generation" and "error" of images that are kept out, [T]; empty where none are.
    """

    name: str
    settings: Mapping[str, Any]
    environment: Mapping[str, str]
    columns: Mapping[str, npt.NDArray[Any]]
    result: Mapping[str, Any]
    pictures: Mapping[str, npt.NDArray[Any]]
    validation: Mapping[str, npt.NDArray[Any]] = types.MappingProxyType({})


def read_record(folder: Path) -> Record:
    """Reads a run's folder; of a run that was killed there is what it had written until then.

    Raises:
      ValueError: it is no folder of a run, or one of its files is damaged.

    >>> read_record(Path("nowhere"))
    Traceback (most recent call last):
        ...
    ValueError: RUN must be the folder of a run, with its config.json; got 'nowhere'
    """
    if not (folder / CONFIG).is_file():
        raise ValueError(f"RUN must be the folder of a run, with its {CONFIG}; got {str(folder)!r}")
    written = _read(folder / CONFIG, _load_json)
    return Record(
        name=folder.resolve().name,
        settings=written.get("config", {}),
        environment=written.get("environment", {}),
        columns=_read(folder / METRICS, read_metrics),
        result=_read(folder / RESULT, _load_json),
        pictures=_read(folder / PICTURES, read_arrays),
        validation=_read(folder / VALIDATION, read_metrics),
    )


def write_pictures(path: Path, pictures: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays so that `read_record` finds them."""
    with replacing(path) as temporary, temporary.open("wb") as opened:
        arrays: dict[str, Any] = dict(pictures)
        np.savez_compressed(opened, **arrays)


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Writes JSON values so that `read_record` finds them."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _read(path: Path, load: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """What a file holds; nothing where there is none."""
    try:
        return load(path) if path.exists() else {}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"RUN: {str(path)!r} is damaged: {in_short(error)}") from error


def _load_json(path: Path) -> dict[str, Any]:
    with open_file(path) as file:
        values = json.loads(file.read().decode())
    if not isinstance(values, dict):
        raise ValueError("it holds no object")
    return values
