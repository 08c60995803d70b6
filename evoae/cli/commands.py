"""The `evoae` command."""

import dataclasses
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import evoae
from evoae import data
from evoae.cli.options import joined, parse, parse_run, parse_sweep
from evoae.engine.devices import use_cores
from evoae.engine.evolution import InvalidFitnessError
from evoae.engine.hosts import leave
from evoae.runs.config import DEFAULT_PRESET, DESCRIPTIONS, PRESETS, RunConfig

USAGE = f"""usage: evoae COMMAND [OPTIONS]

Deep autoencoders trained by genetic algorithms, without gradients.

commands:
  train [PRESET]    evolve an autoencoder; PRESET is {DEFAULT_PRESET} unless you name another
  resume RUN        go on with the run in a folder, as if it had never stopped
                    with both, --live shows it in a browser while it goes on, and
                    --distributed makes one run of several processes; see docs/scaling.md
  report RUN...     make the page of a run again, or one page of several runs side by side
  compare [PRESET]  evolve it, and train it by backpropagation in the same time
  sweep [PRESET]    run every combination of settings and seeds, in as few programs as can be
  reproduce NAME    a figure of the paper, its claims, what it left open, or all of them
  bench             how fast generations are on this machine, and those of others
  presets           list the presets of train, compare and sweep
  data [SOURCE]     list the named data sets, or describe one, or your own file or folder

options:
  -h, --help        show this help; evoae COMMAND --help shows a command's options
  --version         show the version
"""

SWEEP_HELP = (
    "Every option below holds for all runs, or is swept: --sweep.strategy.mutation.scale 0.1 1 10; "
    "the end of a name is enough where only one setting ends so: --sweep.scale. "
    "--sweep.seeds 10 takes ten seeds from --seed on, --sweep.seeds 3 5 those two."
)
LIVE = "--live"  # how a run is shown is no setting of it
LIVE_HELP = f"With {LIVE}, a page on this machine shows how the run goes."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 2 after an error, 130 after a stop."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)  # where the user's own package.module:Name is looked for
    try:
        if command in ("-h", "--help"):
            print(USAGE, end="")
        elif command == "--version":
            print(f"evoae {evoae.__version__}")
        elif command in COMMANDS:
            use_cores()
            return COMMANDS[command](rest)
        else:
            raise ValueError(f"command must be one of {', '.join(COMMANDS)}; got {command!r}")
    except KeyboardInterrupt:
        print("evoae: stopped", file=sys.stderr)
        return 130
    # RuntimeError is what JAX raises.
    except (ValueError, OSError, RuntimeError, MemoryError, InvalidFitnessError) as error:
        print(f"evoae: error: {' '.join(str(error).split())}", file=sys.stderr)
        return leave(2)
    return 0


def train(arguments: list[str]) -> int:
    """Evolves an autoencoder, from a preset and the settings that are given instead of its own."""
    arguments, live = _apart(joined(arguments), LIVE)
    config = _run_config("train", arguments, LIVE_HELP)
    from evoae.runs.training import train as run

    return 130 if run(config, live=live).stopped else 0


@dataclasses.dataclass(frozen=True)
class ResumeQuery:
    """What `evoae resume` is asked.

    Attributes:
      run: the folder of the run.
      num_generations: end after this many, those before the stop included.
      minutes: end after this time, that before the stop included.
      chunk_size: candidates evaluated at a time; memory and speed change with it.
      num_devices: how many devices share the evaluation.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    num_generations: int | None = None
    minutes: float | None = None
    chunk_size: int | None = None
    num_devices: int | None = None


def resume(arguments: list[str]) -> int:
    """Goes on with a run that was stopped or killed, or that is to go further."""
    arguments, live = _apart(joined(arguments), LIVE)
    description = f"Go on with a run that was stopped or killed, or make it longer. {LIVE_HELP}"
    query = parse(ResumeQuery, arguments, prog="evoae resume", description=description)
    from evoae.runs.training import resume as run

    settings = dataclasses.asdict(query)
    return 130 if run(settings.pop("run"), **settings, live=live).stopped else 0


def compare(arguments: list[str]) -> int:
    """Evolves an autoencoder, and trains the same one by backpropagation in the same time."""
    config = _run_config("compare", arguments)
    from evoae.runs.comparison import compare as run

    run(config)
    return 0


def sweep(arguments: list[str]) -> int:
    """Runs every combination of the settings and seeds that are given."""
    name, arguments = _preset(arguments)
    config, settings, seeds = parse_sweep(
        PRESETS[name],
        arguments,
        prog=f"evoae sweep {name}",
        description=f"{name}: {DESCRIPTIONS[name]}. {SWEEP_HELP}",
    )
    if not settings and seeds == 1:
        raise ValueError("--sweep.SETTING or --sweep.seeds must be given, got neither")
    from evoae.runs.sweeps import sweep as run

    return 130 if run(config, settings, seeds=seeds).stopped else 0


def _run_config(command: str, arguments: list[str], more: str = "") -> RunConfig:
    preset, arguments = _preset(arguments)
    description = f"{preset}: {DESCRIPTIONS[preset]}. Other presets: see evoae presets. {more}"
    prog = f"evoae {command} {preset}"
    return parse_run(PRESETS[preset], arguments, prog=prog, description=description)


def _apart(arguments: list[str], flag: str) -> tuple[list[str], bool]:
    """The arguments without a flag, and whether it was there."""
    return [word for word in arguments if word != flag], flag in arguments


def _preset(arguments: list[str]) -> tuple[str, list[str]]:
    """The name of the preset, and the arguments after it."""
    preset = DEFAULT_PRESET
    if arguments and not arguments[0].startswith("-"):
        preset, *arguments = arguments
    if preset not in PRESETS:
        raise ValueError(f"PRESET must be one of {', '.join(PRESETS)}; got {preset!r}")
    return preset, arguments


def presets(arguments: list[str]) -> int:
    """Lists the presets."""
    parse(_nothing, arguments, prog="evoae presets", description="List the presets.")
    table = Table("preset", "what it evolves", "until", box=None)
    for name, config in PRESETS.items():
        description = DESCRIPTIONS[name] + (" (default)" if name == DEFAULT_PRESET else "")
        ends = {"generations": config.num_generations, "minutes": config.minutes}
        until = " or ".join(f"{value:,g} {unit}" for unit, value in ends.items() if value)
        table.add_row(name, description, until)
    Console().print(table)
    return 0


@dataclasses.dataclass(frozen=True)
class DataQuery:
    """What `evoae data` is asked.

    Attributes:
      source: a name, an .npz file, or a folder of IDX or PNG files; all names without it.
      split: which of its splits.
    """

    source: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")] = None
    split: Literal["train", "test"] = "train"


def describe_data(arguments: list[str]) -> int:
    """Lists the named data sets, or loads and describes one."""
    query = parse(
        DataQuery,
        arguments,
        prog="evoae data",
        description="List the data sets, or load one, downloaded if need be, and describe it.",
        default=DataQuery(),
    )
    console = Console(highlight=False, markup=False)
    if query.source is None:
        table = Table("name", "train", "test", "", "what it is", box=None)
        for info in data.available():
            where = "bundled" if info.bundled else "downloaded"
            sizes = f"{info.num_train:,}", f"{info.num_test:,}"
            table.add_row(info.name, *sizes, where, info.description)
        console.print(table)
        return 0
    dataset = data.load(query.source, split=query.split, dtype="uint8")
    number, height, width, channels = dataset.images.shape
    colour = "grey" if channels == 1 else f"{channels} channels"
    console.print(f"{dataset.name}, {query.split}: {number:,} images, {height}x{width}, {colour}")
    if dataset.labels is not None:
        values, counts = np.unique(dataset.labels, return_counts=True)
        pairs = zip(values, counts, strict=True)
        console.print("labels: " + ", ".join(f"{value} ({count:,})" for value, count in pairs))
    for info in data.available():
        if info.name == dataset.name == query.source:
            console.print(f"licence: {info.licence}\nsource: {info.source}")
    return 0


@dataclasses.dataclass(frozen=True)
class ReportQuery:
    """What `evoae report` is asked.

    Attributes:
      runs: folders of runs.
      out: the file; None takes report.html in the run's folder, or beside the first of several.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...")]
    out: Path | None = None


def report(arguments: list[str]) -> int:
    """Makes the page of a run again, or one of several runs side by side."""
    query = parse(
        ReportQuery,
        arguments,
        prog="evoae report",
        description="Make the page of a run again, or lay several runs side by side on one page.",
    )
    from evoae.report.page import PAGE, read_record, write_page
    from evoae.runs.folder import writing

    if not query.runs:
        raise ValueError("RUN must be the folder of a run, or several; got none")
    records = [read_record(folder) for folder in query.runs]
    beside = query.runs[0] if len(records) == 1 else query.runs[0].resolve().parent
    path = query.out or beside / PAGE
    if not path.parent.is_dir():
        raise ValueError(f"out must be a file in a folder that exists, got {str(path)!r}")
    with writing(path):
        write_page(path, records)
    print(f"page         {path}")
    return 0


@dataclasses.dataclass(frozen=True)
class BenchQuery:
    """What `evoae bench` is asked.

    Attributes:
      quick: the paper's network alone, in about a minute.
      out: the folder to write to; None makes one in runs.
    """

    quick: bool = False
    out: Path | None = None


def bench(arguments: list[str]) -> int:
    """Measures throughput, and writes it as JSON, as tables and as a picture."""
    query = parse(
        BenchQuery,
        arguments,
        prog="evoae bench",
        description="Measure whole generations on this machine, beside Flax, evosax and a loop.",
        default=BenchQuery(),
    )
    importlib.import_module("evoae.experiments.bench.run").bench(quick=query.quick, out=query.out)
    return 0


@dataclasses.dataclass(frozen=True)
class ReproduceQuery:
    """What `evoae reproduce` is asked.

    Attributes:
      name: fig1, fig2, fig3, fig4, claims, errors, vae, encodings, latent or all.
      quick: a small budget, for a first look; all are then measured side by side, a core each.
      out: the folder to write to; None makes one in runs. One in which the same was begun is gone
        on with, and where all is measured only pictures and pages are made anew.
      data: where MNIST is, for latent: a folder of IDX files; None downloads it, and --quick
        needs none.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    quick: bool = False
    out: Path | None = None
    data: str | None = None


def reproduce(arguments: list[str]) -> int:
    """Measures a figure of the paper, or its claims, and makes pictures and a page of them."""
    query = parse(
        ReproduceQuery,
        arguments,
        prog="evoae reproduce",
        description="Make a figure of the 2021 paper again, or measure its claims.",
    )
    importlib.import_module("evoae.experiments.paper.registry").reproduce(
        query.name, quick=query.quick, out=query.out, source=query.data
    )
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "resume": resume,
    "report": report,
    "compare": compare,
    "sweep": sweep,
    "reproduce": reproduce,
    "bench": bench,
    "presets": presets,
    "data": describe_data,
}


def _nothing() -> None:
    """Takes no options."""
