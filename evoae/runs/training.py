"""One run: where it begins, anew or from its last checkpoint, and the one folder it may write."""

import os
import warnings
from pathlib import Path

from evoae.engine.hosts import is_first
from evoae.runs.conducting import conduct, follow
from evoae.runs.config import RunConfig
from evoae.runs.console import new_console
from evoae.runs.folder import CHECKPOINTS, CONFIG, free_folder, writing
from evoae.runs.lock import locked
from evoae.runs.result import Result
from evoae.runs.saving import read_config, taken_up, told
from evoae.runs.task import prepare
from evoae.runs.trackers import Logs
from evoae.runs.weights import load_weights

__all__ = ["Result", "load_weights", "resume", "train"]


def train(config: RunConfig, *, progress: bool = True, live: bool = False) -> Result:
    """Evolves an autoencoder and writes a folder with its settings, weights, numbers and pictures.

    The folder holds config.json (the settings, the versions, the device), best.npz (for
    `load_weights`), genes.npz (what that was decoded from, but with the direct encoding),
    denoising.csv (errors at several levels of noise, where there is noise), metrics.csv (a row a
    generation), gallery.png, curve.png, evolution.gif, report.html (all of it on one page), and
    what that page is made from besides, result.json (the numbers that are printed) and report.npz;
    and checkpoints, from which `resume` goes on with a run that was killed. Ctrl-C or SIGTERM ends
    the run after its current block of generations, and everything is written. In a notebook the
    images and the curve are shown in the cell as the run goes on.

    After `jax.distributed.initialize`, when all processes call it with the same settings, they make
    one run together, on all of their devices. The first one alone writes and prints; all return
    the same result. See docs/scaling.md.

    Args:
      config: the settings, such as one of `evoae.runs.config.PRESETS`.
      progress: print the device, the baselines, the progress and the result.
      live: show the page while the run goes on, to browsers on this machine; prints its address.

    Raises:
      ValueError: settings and images that do not fit together or into memory, a folder that is not
        empty, or a tracker of `config.log` that is not installed.
      OSError: what cannot be read or written; a ConnectionError where another process stopped.
      MemoryError: a device that ran out of memory.
      InvalidFitnessError: a generation without a finite error; what came before it is written.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.runs.config import PRESETS
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out)}
    ...     result = train(dataclasses.replace(PRESETS["paper-one"], **short), progress=False)
    >>> result.trace.best_fitness.shape, result.num_evaluations
    ((3,), 30)
    """
    if not is_first():
        return follow(prepare(config))
    path = free_folder(config.out, config.preset)
    logs = Logs(config.log)
    task = prepare(config)
    with writing(path):
        (path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    with locked(path / CHECKPOINTS):
        if (path / CONFIG).exists():  # of a run that began at the same time
            raise ValueError(f"out must be a new or an empty folder, {str(path)!r} has files")
        return conduct(task, path, new_console(quiet=not progress), logs, live=live)


def resume(
    folder: str | os.PathLike[str],
    *,
    num_generations: int | None = None,
    minutes: float | None = None,
    chunk_size: int | None = None,
    num_devices: int | None = None,
    progress: bool = True,
    live: bool = False,
) -> Result:
    """Goes on with a run that was stopped, was killed, or has ended and is to go further.

    It ends with the same bits, in the state, in metrics.csv and in best.npz, as a run without a
    stop. What the folder has beyond the checkpoint is cut away first. A checkpoint that is damaged
    is left out, with a warning. A run that is at its end has its pictures drawn anew.

    Args:
      folder: that of the run.
      num_generations: end after this many, those before the stop included.
      minutes: end after this time, that before the stop included. Without either, the ends are
        those of the run; with one of them, it is the only one.
      chunk_size: candidates evaluated at a time; None takes that of the run.
      num_devices: how many devices share the evaluation; None takes the number of the run.
      progress: as for `train`.
      live: as for `train`.

    Raises:
      ValueError: an argument out of range, no checkpoint that can be used, other images than those
        with which the run began, or another process at work in the folder.
      OSError: what cannot be read or written.
      InvalidFitnessError: a generation without a finite error.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.runs.config import PRESETS
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out)}
    ...     _ = train(dataclasses.replace(PRESETS["paper-one"], **short), progress=False)
    ...     result = resume(out, num_generations=5, progress=False)
    >>> result.trace.best_fitness.shape
    (5,)
    """
    if not is_first():
        return follow(*told(None))
    path, console = Path(folder), new_console(quiet=not progress)
    read_config(path)  # or the lock would be left in some other folder
    with locked(path / CHECKPOINTS):
        start = taken_up(
            path,
            num_generations=num_generations,
            minutes=minutes,
            chunk_size=chunk_size,
            num_devices=num_devices,
        )
        told(start)
        for text in start.warnings:
            if progress:
                console.print(f"warning      {text}", style="yellow")
            else:
                warnings.warn(text, stacklevel=2)
        console.print(f"resuming     after generation {start.pace.steps:,} of {path}")
        logs = Logs(start.task.config.log)
        return conduct(start.task, path, console, logs, start, live=live)
