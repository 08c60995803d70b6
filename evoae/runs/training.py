"""One run: where it begins, anew or from its last checkpoint, and who is told of it."""

import dataclasses
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy.typing as npt
from rich.console import Console

from evoae.engine.hosts import check_same, is_first, of_first
from evoae.engine.versions import environment
from evoae.files import user_path
from evoae.report.page.record import CONFIG, METRICS
from evoae.runs.config import RunConfig, to_json
from evoae.runs.console import new_console, print_end, print_start
from evoae.runs.folder_lock import locked
from evoae.runs.loop import Observer, run_loop
from evoae.runs.measuring import Snapshots, measure_baselines
from evoae.runs.observers.checkpoints import Checkpoints, identity_of
from evoae.runs.observers.live_page import Watch, in_notebook
from evoae.runs.observers.progress_bar import ProgressBar
from evoae.runs.observers.run_folder import RunFolder
from evoae.runs.observers.trackers import Trackers, load_trackers
from evoae.runs.paths import (
    CHECKPOINTS,
    check_dataset,
    check_free,
    keep_images,
    keep_weights,
    new_folder,
    read_config,
    settings_of,
    write_settings,
    writing,
)
from evoae.runs.result import Result
from evoae.runs.resuming import Start, share_start, take_up
from evoae.runs.task import Task, clock_of, make_advance, prepare


def train(
    config: RunConfig | None = None,
    *,
    images: npt.ArrayLike | None = None,
    labels: npt.ArrayLike | None = None,
    progress: bool = True,
    live: bool = False,
    observers: Sequence[Observer] = (),
    **settings: Any,
) -> Result:
    """Evolves an autoencoder and writes a folder with its settings, weights, numbers and pictures.

    The folder holds config.json (the settings, the versions, the device), best.npz (for
    `load_weights`), genotype.npz (if there is an encoding), denoising.csv (errors at several levels
    of input corruption, if there is any), metrics.csv (a row a generation), gallery.png, curve.png,
    evolution.gif, report.html (all of it on one page), result.json (the printed numbers),
    report.npz (what else the page is made from), and checkpoints, from which `resume` goes on.
    Ctrl-C or SIGTERM ends the run after its current block of generations, and everything is
    written. In a notebook the images and the curve are shown in the cell as the run goes on.

    After `jax.distributed.initialize`, when all processes call it with the same settings, they make
    one run together, on all of their devices. The first one alone writes and prints; all return
    the same result. See docs/scaling.md.

    Args:
      config: the settings, such as one of `evoae.runs.PRESETS`; None takes the defaults of
        `evoae.runs.RunConfig`.
      images: to learn instead of `config.data.source`: uint8, or floats in data.low..data.high; [N,
        H, W, C], or [N, H, W] for grey ones. They are kept in the folder.
      labels: of the images, integers or names [N], for the latent map.
      progress: print the device, the baselines, the progress and the result.
      live: show the page while the run goes on, to browsers on this machine; prints its address.
      observers: your own, told of each block; see `evoae.runs.Observer`.
      **settings: fields of `evoae.runs.RunConfig` that replace those of `config`, such as `model`,
        a Flax module; `strategy`; `fitness`, a function of your own; `num_generations`.

    Raises:
      ValueError: settings and images that do not fit together or into memory, a folder that is not
        empty, or a tracker of `config.log` that is not installed.
      OSError: what cannot be read or written; a ConnectionError where another process stopped.
      MemoryError: a device that ran out of memory.
      InvalidFitnessError: a generation without a finite error; what came before it is written.

    >>> import pathlib, tempfile
    >>> from evoae.runs.config import PRESETS, ModelConfig
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out), "model": ModelConfig("mlp", 2)}
    ...     result = train(PRESETS["paper-ten"], **short, progress=False)
    >>> result.trace.best_fitness.shape, result.num_evaluations
    ((3,), 60)
    """
    config = RunConfig(**settings) if config is None else dataclasses.replace(config, **settings)
    given = None if images is None else check_dataset(images, labels, config.data)
    if not is_first():
        return _follow(Start(prepare(config, given)))
    check_free(config.out)
    packages = load_trackers(config.log)
    task = prepare(config, given, progress=progress)
    path = new_folder(config.out, config.preset)
    with locked(path / CHECKPOINTS):
        if (path / CONFIG).exists():  # of a run that began at the same time
            raise ValueError(f"out must be a new or an empty folder, {str(path)!r} has files")
        with writing(path):
            if given is not None:
                task = task._replace(config=keep_images(path, task.config, given))
            task = task._replace(config=keep_weights(path, task.config))
            # From here on it can be resumed.
            write_settings(path, settings_of(task.config, task.images))
        console = new_console(quiet=not progress)
        return _run(Start(task), path, console, observers, live=live, packages=packages)


def resume(
    folder: str | os.PathLike[str],
    *,
    num_generations: int | None = None,
    minutes: float | None = None,
    chunk_size: int | None = None,
    num_devices: int | None = None,
    progress: bool = True,
    live: bool = False,
    observers: Sequence[Observer] = (),
    **objects: Any,
) -> Result:
    """Goes on with a run that was stopped or killed, or makes a finished one longer.

    It ends with the same bits, in the state, in metrics.csv and in best.npz, as a run without a
    stop. It first removes what the folder has beyond the checkpoint. It skips a damaged checkpoint,
    with a warning. Of a finished run it draws the pictures again; one that was killed before its
    first checkpoint begins anew.

    Args:
      folder: that of the run.
      num_generations: end after this many, those before the stop included.
      minutes: end after this time, that before the stop included. With neither, the run keeps its
        ends; one of them is then the only end.
      chunk_size: candidates evaluated at a time; None takes that of the run.
      num_devices: how many devices share the evaluation; None takes the number of the run.
      progress: as for `train`.
      live: as for `train`.
      observers: as for `train`.
      **objects: settings that no module holds, since they were made in a notebook or a script, such
        as `model` or `fitness`: they must be given again.

    Raises:
      ValueError: an argument out of range, no checkpoint that can be used, other images than those
        with which the run began, or another process at work in the folder.
      OSError: what cannot be read or written.
      InvalidFitnessError: a generation without a finite error.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.runs.config import PRESETS, ModelConfig
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out), "model": ModelConfig("mlp", 2)}
    ...     _ = train(dataclasses.replace(PRESETS["paper-ten"], **short), progress=False)
    ...     result = resume(out, num_generations=5, progress=False)
    >>> result.trace.best_fitness.shape
    (5,)
    """
    if not is_first():
        return _follow(share_start(None))
    path, console = user_path(folder), new_console(quiet=not progress)
    config = read_config(path, objects)  # or the lock would be left in some other folder
    if (path / METRICS).exists() and not (path / CHECKPOINTS).is_dir():
        raise ValueError(f"folder must have the {CHECKPOINTS} of its run, {str(path)!r} has none")
    with locked(path / CHECKPOINTS):
        start = take_up(
            path,
            config,
            tuple(objects),
            num_generations=num_generations,
            minutes=minutes,
            chunk_size=chunk_size,
            num_devices=num_devices,
            progress=progress,
        )
        share_start(start)
        for text in start.warnings:
            if progress:
                console.print(f"warning      {text}", style="yellow")
            else:
                warnings.warn(text, stacklevel=2)
        if start.is_new:
            console.print(f"beginning    {path}, which has no checkpoint")
        else:
            console.print(f"resuming     after generation {start.pace.steps:,} of {path}")
        packages = load_trackers(start.task.config.log)
        return _run(start, path, console, observers, live=live, packages=packages)


def _run(
    start: Start,
    path: Path,
    console: Console,
    observers: Sequence[Observer],
    *,
    live: bool,
    packages: dict[str, object],
) -> Result:
    """Evolves to the end of the settings or a stop, and writes and prints all that there is."""
    task, config = start.task, start.task.config
    _agree(task)
    baselines = {} if config.fitness else measure_baselines(task, config.error)
    print_start(console, task, baselines)
    snapshots = Snapshots(task)
    folder = RunFolder(path, task, snapshots, baselines, start.num_bytes or 0)
    run_loop(
        make_advance(task),
        task.state,
        clock_of(config),
        [
            folder,
            Checkpoints(task, folder, saved=None if start.is_new else start.pace.steps),
            Trackers(packages, path, task, snapshots),
            ProgressBar(console),
            Watch(folder, live=live, notebook=not console.quiet and in_notebook()),
            *observers,
        ],
        steps=start.pace.steps,
        seconds=start.pace.seconds,
    )
    result = cast(Result, folder.result)
    print_end(console, result, folder.numbers)
    return of_first(result)


def _follow(start: Start) -> Result:
    """What all processes but the first do: they evolve as it does, and write nothing."""
    _agree(start.task)
    advance, clock = make_advance(start.task), clock_of(start.task.config)
    pace = start.pace
    run_loop(advance, start.task.state, clock, steps=pace.steps, seconds=pace.seconds)
    return cast(Result, of_first(None))


def _agree(task: Task) -> None:
    """Raises a `ValueError` unless all processes have the same settings, images and versions."""
    check_same("versions and devices", json.dumps(environment()))
    settings = to_json(dataclasses.replace(task.config, out=None, log=(), preset="", weights=None))
    check_same("settings", json.dumps(settings))
    check_same("images", identity_of(task.images))
