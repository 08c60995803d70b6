"""The commands that measure and report: `report`, `bench` and `reproduce`."""

import dataclasses
import importlib
from pathlib import Path
from typing import Annotated

import tyro

from evoae.cli.options import parse
from evoae.files import user_path


@dataclasses.dataclass(frozen=True)
class ReportQuery:
    """Make the page of a run again, or lay several runs side by side on one page.

    Attributes:
      runs: folders of runs.
      out: the file; None takes report.html in the run's folder, or beside the first of several.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]
    out: Path | None = None


def report(arguments: list[str]) -> int:
    """Makes the page of a run again, or one of several runs side by side."""
    query = parse(ReportQuery, arguments, prog="evoae report")
    from evoae.report.page import PAGE, read_record, write_page
    from evoae.runs.paths import writing

    if not query.runs:
        raise ValueError("RUN must be the folder of a run, or several; got none")
    runs = [user_path(folder) for folder in query.runs]
    records = [read_record(folder) for folder in runs]
    beside = runs[0] if len(records) == 1 else runs[0].resolve().parent
    path = user_path(query.out or beside / PAGE)
    if not path.parent.is_dir():
        raise ValueError(f"out must be a file in a folder that exists, got {str(path)!r}")
    with writing(path):
        write_page(path, records)
    print(f"page         {path}")
    return 0


@dataclasses.dataclass(frozen=True)
class BenchQuery:
    """Measure whole generations on this machine, beside Flax, evosax and a loop.

    Attributes:
      quick: the paper's network alone, in about a minute.
      networks: these alone, by their names in the tables, such as "conv RGB"; none takes all.
      out: the folder to write to; None makes one in runs.
    """

    quick: bool = False
    networks: tuple[str, ...] = ()
    out: Path | None = None


def bench(arguments: list[str]) -> int:
    """Measures throughput, and writes it as JSON, as tables and as a picture."""
    query = parse(BenchQuery, arguments, prog="evoae bench")
    benchmark = importlib.import_module("evoae.experiments.bench.benchmark")
    benchmark.bench(quick=query.quick, networks=query.networks, out=query.out)
    return 0


@dataclasses.dataclass(frozen=True)
class ReproduceQuery:
    """Make a figure of the 2021 paper again, or measure its claims.

    Attributes:
      name: fig1, fig2, fig3, fig4, claims, errors, vae, encodings, latent or all.
      quick: a small budget, for a first look; "all" then measures side by side, a core each.
      out: the folder to write to; None makes one in runs. In a folder of the same it goes on; if
        everything is measured it only makes pictures and pages again.
      data: where MNIST is, for latent: a folder of IDX files; None downloads it, and --quick
        needs none.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    quick: bool = False
    out: Path | None = None
    data: str | None = None


def reproduce(arguments: list[str]) -> int:
    """Measures a figure of the paper, or its claims, and makes pictures and a page of them."""
    query = parse(ReproduceQuery, arguments, prog="evoae reproduce")
    importlib.import_module("evoae.experiments.paper.registry").reproduce(
        query.name, quick=query.quick, out=query.out, source=query.data
    )
    return 0
