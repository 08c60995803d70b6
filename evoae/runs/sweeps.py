"""A sweep: one run for every combination of some settings and seeds, in as few programs as can be.

Runs that differ only in floats of the strategy or in their seeds are one program: both are in their
states. Other settings are static, and each combination of them is a program of its own.
"""

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import numpy as np
import numpy.typing as npt

from evoae.engine.evaluation import equal_size
from evoae.engine.versions import device, environment
from evoae.platforms import platform_of
from evoae.report.output_files import drawing
from evoae.report.sweep import draw_sweep, draw_sweep_galleries, name_settings, print_sweep
from evoae.report.table import write_table
from evoae.runs.config import Grid, RunConfig, grid, setting, to_json
from evoae.runs.console import new_console
from evoae.runs.folder_lock import locked
from evoae.runs.kept_sweep import Place, keep_runs, read_runs
from evoae.runs.loop import interrupts
from evoae.runs.measuring import shown_of
from evoae.runs.observers.progress_bar import ProgressBar
from evoae.runs.paths import (
    BEST,
    check_free,
    new_folder,
    portable,
    read_settings,
    write_settings,
    writing,
)
from evoae.runs.sweep_program import SweepBar, SweptRun, evolve_part
from evoae.runs.task import Task, first_state, prepare
from evoae.runs.weight_files import save_weights, structured_as

MOST_BYTES = 2**30  # of states at a time

SETTINGS, PARTS = "sweep.json", "parts"


class Sweep(NamedTuple):
    """What a sweep ends with; arrays [*V, S], for the V values of each setting and S seeds.

    Attributes:
      settings: the values by the whole names of the settings, in the order of the axes.
      seeds: S of them.
      error: of the best weights on all images, computed anew; infinite for a run in which a
        generation had no finite error, NaN for one that was not begun; float64.
      best: the best weights of each run, trees of NumPy arrays; None for one that was not begun.
      best_fitness: the smallest error of each generation, NaN after a run's last; float32
        [*V, S, G].
      num_evaluations: candidates evaluated in each run, int64.
      seconds: its part of the time of the program that it shares with others, float64.
      folder: where sweep.json (the settings), results.csv (a row a run), best.npz (the weights of
        the run with the smallest error) and the pictures are.
      stopped: whether Ctrl-C ended it.
    """

    settings: dict[str, tuple[Any, ...]]
    seeds: tuple[int, ...]
    error: npt.NDArray[np.float64]
    best: npt.NDArray[np.object_]
    best_fitness: npt.NDArray[np.float32]
    num_evaluations: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]
    folder: Path
    stopped: bool


def sweep(
    config: RunConfig,
    settings: Mapping[str, Sequence[Any]],
    *,
    seeds: int | Sequence[int] = 1,
    progress: bool = True,
) -> Sweep:
    """Runs every combination of settings with every seed, and writes tables and pictures of it.

    Each run equals that of `train` with its settings and seed, on a CPU to the last bit. Where runs
    end by `minutes`, that is the time of one of them on average. Ctrl-C ends the runs that are
    under way after their current block; what there is by then is written. If `out` is the folder of
    the same sweep, stopped or killed, it goes on, and does not compute finished runs again.

    Args:
      config: what all runs have in common.
      settings: values by the name of the setting, such as {"strategy.mutation.scale": [0.1, 1.0]};
        the end of a name is enough where only one setting ends so.
      seeds: how many, from the seed of `config` on, or which.
      progress: print the progress, and a table of the errors over the seeds.

    Raises:
      ValueError: no such setting, settings or images that do not fit together, or a folder with
        files of something else; before anything runs.
      OSError: what cannot be read or written.
      KeyboardInterrupt: Ctrl-C before the first run has begun.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.runs.config import PRESETS, ModelConfig
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out), "model": ModelConfig("mlp", 2)}
    ...     short = dataclasses.replace(PRESETS["paper-ten"], **short)
    ...     found = sweep(short, {"mutation.scale": [0.1, 1.0]}, seeds=3, progress=False)
    >>> found.error.shape, found.best_fitness.shape, list(found.settings)
    ((2, 3), (2, 3, 3), ['strategy.mutation.scale'])
    """
    if config.log:
        raise ValueError(f"log must be left out of a sweep, got {config.log}")
    points = grid(config, settings, seeds)
    programs = _programs(points)
    # A swept data.source may be a path, too.
    lasting = points._replace(configs=np.vectorize(portable, [object])(points.configs))
    settled = {"config": to_json(portable(config)), "environment": environment()}
    settled |= lasting.to_json()
    begun_before = _is_same(config.out, settled)
    for places in programs:
        # What does not fit is said before anything runs.
        prepare(points.configs[places[0]], progress=progress)
    if begun_before:
        folder = cast(Path, config.out)
    else:
        folder = new_folder(config.out, f"sweep-{config.preset}")
        with writing(folder):
            write_settings(folder, settled, SETTINGS)
    with locked(folder / PARTS):
        return _sweep(config, points, programs, folder, progress=progress)


def _is_same(folder: Path | None, settled: Mapping[str, Any]) -> bool:
    """Whether a folder is that of a sweep with these settings.

    Raises:
      ValueError: it has files of something else.
    """
    if folder is None or not (folder / SETTINGS).is_file():
        check_free(folder)
        return False
    its = read_settings(folder, SETTINGS)
    ours = json.loads(json.dumps(settled))
    for settings in (its, ours):
        settings.get("config", {}).pop("out", None)
    for name in ("config", "settings", "seeds"):
        if its.get(name) != ours[name]:
            raise ValueError(
                "out must be a new or an empty folder, or that of the same sweep; "
                f"{str(folder)!r} has one with other {name}"
            )
    if its.get("environment") != ours["environment"]:
        there, here = its.get("environment"), ours["environment"]
        warnings.warn(
            f"the sweep in {str(folder)!r} was begun with {there}, and goes on with {here}: "
            "its runs may differ in their last bits",
            stacklevel=3,
        )
    return True


def _sweep(
    config: RunConfig, points: Grid, programs: list[list[Place]], folder: Path, *, progress: bool
) -> Sweep:
    """Runs what is missing in the folder, and writes tables and pictures."""
    console = new_console(quiet=not progress)
    console.print(f"device       {device()}")
    several = "one program" if len(programs) == 1 else f"{len(programs):,} programs"
    console.print(f"runs         {points.configs.size:,}, as {several}")
    runs = read_runs(folder / PARTS, points.configs.shape)
    if runs:
        console.print(f"going on     with {len(runs):,} runs that are done")
    with interrupts() as interrupted, ProgressBar(console) as bar:
        begun = time.perf_counter()
        for program in programs:
            missing = [place for place in program if place not in runs]
            task = prepare(points.configs[program[0]])
            for place in runs.keys() & set(program):  # kept by names alone
                best = structured_as(task.decoder.like, runs[place].best, f"out: run {place}")
                runs[place] = runs[place]._replace(best=best)
            for part in _parts(missing, task) if missing else ():
                if not interrupted.is_set():
                    configs = [points.configs[place] for place in part]
                    showing = SweepBar(bar, begun, len(runs), points.configs.size)
                    found = dict(zip(part, evolve_part(task, configs, showing), strict=True))
                    runs |= found
                    with writing(folder):
                        if not interrupted.is_set():
                            keep_runs(folder / PARTS, found)
                        _write_results(folder / "results.csv", points, runs)
    if not runs:
        raise KeyboardInterrupt

    result = _gathered(points, runs, folder, interrupted.is_set())
    with writing(folder):
        save_weights(folder / BEST, min(runs.values(), key=lambda run: run.error).best)
        _write_results(folder / "results.csv", points, runs)
        with drawing(folder / "a picture"):
            _draw(folder, config, points, runs, result.error, shown_of(task).targets)
    print_sweep(console, name_settings(points.settings), result.error)
    if result.stopped:
        console.print("stopped      by Ctrl-C; everything up to here is written", style="yellow")
    console.print(f"folder       {folder}")
    return result


def _programs(points: Grid) -> list[list[Place]]:
    """The places of the runs that are one program, for each program."""
    task = prepare(points.configs[(0,) * points.configs.ndim])
    static = [axis for axis in range(len(points.settings)) if not _in_state(task, points, axis)]
    programs: dict[Place, list[Place]] = {}
    for place in np.ndindex(points.configs.shape):
        programs.setdefault(tuple(place[axis] for axis in static), []).append(place)
    return list(programs.values())


def _in_state(task: Task, points: Grid, axis: int) -> bool:
    """Whether the values of a setting are floats that differ in the states of their runs.

    A float that does not reach the state, such as one that a strategy reads while it is compiled,
    is static.
    """
    name, configs = list(points.settings)[axis], points.along(axis)
    if not all(type(setting(config, name)) is float for config in configs):
        return False
    found = set()
    for config in configs:
        hyper = getattr(first_state(config, task.model, task.images)[1], "hyper", None)
        found.add(tuple(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(hyper)))
    return len(found) == len(configs)


def _parts(places: list[Place], task: Task) -> list[list[Place]]:
    """The runs of one program in parts: those that devices work at together, kept once done.

    Their states fit into `MOST_BYTES`.
    """
    state_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(task.state))
    devices = jax.local_devices()
    together = len(devices) * platform_of(devices[0]).runs_at_once
    size = equal_size(len(places), max(1, min(together, MOST_BYTES // state_bytes)))
    return [places[start : start + size] for start in range(0, len(places), size)]


def _gathered(points: Grid, runs: Mapping[Place, SweptRun], folder: Path, stopped: bool) -> Sweep:
    shape, most = points.configs.shape, max(len(run.best_fitness) for run in runs.values())
    found = Sweep(
        settings=points.settings,
        seeds=points.seeds,
        error=np.full(shape, np.nan),
        best=np.full(shape, None, object),
        best_fitness=np.full((*shape, most), np.nan, np.float32),
        num_evaluations=np.zeros(shape, np.int64),
        seconds=np.full(shape, np.nan),
        folder=folder,
        stopped=stopped,
    )
    for place, run in runs.items():
        found.best_fitness[place][: len(run.best_fitness)] = run.best_fitness
        for name in ("error", "best", "num_evaluations", "seconds"):
            getattr(found, name)[place] = getattr(run, name)
    return found


def _write_results(path: Path, points: Grid, runs: Mapping[Place, SweptRun]) -> None:
    shown = name_settings(points.settings)
    rows = []
    for place, run in sorted(runs.items()):
        its = [setting.values[i] for setting, i in zip(shown, place, strict=False)]
        ends = (run.error, len(run.best_fitness), run.num_evaluations, run.seconds)
        rows.append((*its, points.seeds[place[-1]], *ends))
    columns = (*points.settings, "seed", "error", "generations", "evaluations", "seconds")
    write_table(path, columns, rows)


def _draw(
    folder: Path,
    config: RunConfig,
    points: Grid,
    runs: Mapping[Place, SweptRun],
    errors: npt.NDArray[np.float64],
    targets: npt.NDArray[np.floating],
) -> None:
    """Draws the pictures of all runs together."""
    shown, swept = name_settings(points.settings), {name.split(".")[0] for name in points.settings}
    # Errors of several kinds have no name in common, images of several data no picture.
    several = {"error", "kl_weight", "fitness"} & swept
    name = "error" if several else config.error_name
    draw_sweep(folder, shown, errors, error_name=name)
    if "data" not in swept:
        low, high = config.data.low, config.data.high
        outputs = {place: run.outputs for place, run in runs.items()}
        draw_sweep_galleries(folder, shown, errors, targets, outputs, low=low, high=high)
