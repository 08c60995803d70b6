"""The commands that search: `train`, `resume`, `compare` and `sweep`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from evoae.cli.options import Distributed, RunQuery, parse, parse_query, parse_run, parse_sweep
from evoae.runs.config import DEFAULT_PRESET, DESCRIPTIONS, PRESETS

Live = Annotated[
    bool,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.arg(help="show how the run goes on a page of this machine"),
]
Processes = Annotated[Distributed, tyro.conf.arg(name="")]

SWEEP_HELP = (
    "Every option below holds for all runs, or is swept: --sweep.strategy.mutation.scale 0.1 1 10; "
    "the end of a name is enough where only one setting ends so: --sweep.scale. "
    "--sweep.seeds 10 takes ten seeds from --seed on, --sweep.seeds 3 5 those two."
)


@dataclasses.dataclass(frozen=True)
class TrainQuery(RunQuery):
    """A run, how it is shown, and the processes that make it."""

    live: Live = False
    processes: Processes = Distributed()


def train(arguments: list[str]) -> int:
    """Evolves an autoencoder, from a preset and the settings that are given instead of its own."""
    name, arguments = _preset(arguments)
    query = parse_query(TrainQuery, PRESETS[name], arguments, **_texts("train", name))
    query.processes.join()
    from evoae.runs.training import train as run

    return 130 if run(query.config, live=query.live).stopped else 0


@dataclasses.dataclass(frozen=True)
class ResumeQuery:
    """Go on with a run that was stopped or killed, or make it longer.

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
    live: Live = False
    processes: Processes = Distributed()


def resume(arguments: list[str]) -> int:
    """Goes on with a run that was stopped or killed, or that is to go further."""
    query = parse(ResumeQuery, arguments, prog="evoae resume")
    query.processes.join()
    from evoae.runs.training import resume as run

    result = run(
        query.run,
        num_generations=query.num_generations,
        minutes=query.minutes,
        chunk_size=query.chunk_size,
        num_devices=query.num_devices,
        live=query.live,
    )
    return 130 if result.stopped else 0


def compare(arguments: list[str]) -> int:
    """Evolves an autoencoder, and trains the same one by backpropagation in the same time."""
    name, arguments = _preset(arguments)
    config = parse_run(PRESETS[name], arguments, **_texts("compare", name))
    from evoae.runs.comparison import compare as run

    run(config)
    return 0


def sweep(arguments: list[str]) -> int:
    """Runs every combination of the settings and seeds that are given."""
    name, arguments = _preset(arguments)
    texts = _texts("sweep", name, SWEEP_HELP)
    config, settings, seeds = parse_sweep(PRESETS[name], arguments, **texts)
    if not settings and seeds == 1:
        raise ValueError("--sweep.SETTING or --sweep.seeds must be given, got neither")
    from evoae.runs.sweeps import sweep as run

    return 130 if run(config, settings, seeds=seeds).stopped else 0


def _preset(arguments: list[str]) -> tuple[str, list[str]]:
    """The name of the preset, and the arguments after it."""
    named = bool(arguments) and not arguments[0].startswith("-")
    preset, rest = (arguments[0], arguments[1:]) if named else (DEFAULT_PRESET, arguments)
    if preset not in PRESETS:
        raise ValueError(f"PRESET must be one of {', '.join(PRESETS)}; got {preset!r}")
    return preset, rest


def _texts(
    command: str, preset: str, more: str = "Other presets: see evoae presets."
) -> dict[str, str]:
    """What `--help` says above the options."""
    description = f"{preset}: {DESCRIPTIONS[preset]}. {more}"
    return {"prog": f"evoae {command} {preset}", "description": description}
