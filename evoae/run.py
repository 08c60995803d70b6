"""One run: evolve in blocks, and between them show how it goes and write what there is."""

import dataclasses
import functools
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from PIL.Image import Image
from rich.console import Console

from evoae import data, report
from evoae.config import RunConfig, to_json
from evoae.denoising import FILE as DENOISING
from evoae.denoising import denoising
from evoae.evolve import InvalidFitnessError
from evoae.hosts import any_of, check_same, is_first, of_first
from evoae.memory import check_memory
from evoae.pace import BEGINNING, Pace, interrupts
from evoae.report.device import environment
from evoae.report.folder import CHECKPOINTS, CONFIG, RunFolder, free_folder, writing
from evoae.report.lock import locked
from evoae.report.loggers import Logs
from evoae.report.page import PAGE
from evoae.report.page.live import in_notebook, watched
from evoae.report.progress import ProgressBar
from evoae.report.summary import ERROR_NAMES, new_console, print_end, print_start
from evoae.report.table import write_table
from evoae.report.weights import load_weights
from evoae.result import Result, absolute_error_of, baselines_of, numbers_of
from evoae.saving import Saver, Start, identity, portable, read_config, taken_up, told
from evoae.task import (
    NUM_SHOWN,
    Task,
    error_on,
    evolution,
    evolution_status,
    memory_of,
    prepare,
    shown_inputs,
)
from evoae.tree import size
from evoae.types import Genes, Info
from evoae.views import views

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
      config: the settings, such as one of `evoae.config.PRESETS`.
      progress: print the device, the baselines, the progress and the result.
      live: show the page while the run goes on, to browsers on this machine; prints its address.

    Raises:
      ValueError: settings and images that do not fit together or into memory, a folder that is not
        empty, or a tracker of `config.log` that is not installed.
      OSError: what cannot be read or written; a ConnectionError where another process stopped.
      MemoryError: a device that ran out of memory.
      InvalidFitnessError: a generation without a finite error; what came before it is written.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.config import PRESETS
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out)}
    ...     result = train(dataclasses.replace(PRESETS["paper-one"], **short), progress=False)
    >>> result.trace.best_fitness.shape, result.num_evaluations
    ((3,), 30)
    """
    if not is_first():
        return _follow(prepare(config))
    path = free_folder(config.out, config.preset)
    logs = Logs(config.log)
    task = prepare(config)
    check_memory(memory_of(task))
    with writing(path):
        (path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    with locked(path / CHECKPOINTS):
        if (path / CONFIG).exists():  # of a run that began at the same time
            raise ValueError(f"out must be a new or an empty folder, {str(path)!r} has files")
        return _run(task, path, new_console(quiet=not progress), logs, live=live)


def resume(
    folder: str | os.PathLike[str],
    *,
    num_generations: int | None = None,
    minutes: float | None = None,
    chunk_size: int | None = None,
    num_devices: int | None = None,
    progress: bool = True,
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

    Raises:
      ValueError: an argument out of range, no checkpoint that can be used, other images than those
        with which the run began, or another process at work in the folder.
      OSError: what cannot be read or written.
      InvalidFitnessError: a generation without a finite error.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.config import PRESETS
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out)}
    ...     _ = train(dataclasses.replace(PRESETS["paper-one"], **short), progress=False)
    ...     result = resume(out, num_generations=5, progress=False)
    >>> result.trace.best_fitness.shape
    (5,)
    """
    if not is_first():
        return _follow(*told(None))
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
        check_memory(memory_of(start.task))
        told(start)
        for text in start.warnings:
            if progress:
                console.print(f"warning      {text}", style="yellow")
            else:
                warnings.warn(text, stacklevel=2)
        console.print(f"resuming     after generation {start.pace.steps:,} of {path}")
        return _run(start.task, path, console, Logs(start.task.config.log), start)


def _run(
    task: Task,
    path: Path,
    console: Console,
    logs: Logs,
    start: Start | None = None,
    *,
    live: bool = False,
) -> Result:
    config, begun = task.config, start.pace if start else BEGINNING
    _agree(task)
    low, high = config.data.low, config.data.high
    pixels = data.scale(task.images, low, high)
    baselines = baselines_of(task, pixels, config.error)
    print_start(
        console,
        source=config.data.source,
        image_shape=pixels.shape,
        model=config.model.name,
        num_weights=size(task.decoder.like),
        num_genes=size(task.state.best),
        baselines=baselines,
        error=config.error,
    )

    targets = pixels[:NUM_SHOWN]
    inputs = shown_inputs(task, targets)
    reconstruct = jax.jit(task.model.apply)
    folder = RunFolder(
        path,
        targets,
        low=low,
        high=high,
        baselines=baselines,
        error_name=ERROR_NAMES[config.error],
        minibatches=config.batch_size is not None or config.noise is not None,
        inputs=inputs if config.noise is not None else None,
    )
    state, pace, traces, stopped = task.state, begun, [], False
    best = task.network(state.best)
    outputs = np.asarray(reconstruct(best, inputs))
    settings = {"config": to_json(portable(config)), "environment": environment()}
    watching = watched(
        folder.record,
        path / PAGE,
        lambda line: print(line, flush=True),
        live=live,
        notebook=not console.quiet and in_notebook(),
    )

    def save_genes(genes: Genes) -> None:
        if task.encoded:
            folder.save_genes(genes)

    with interrupts() as interrupted, ProgressBar(console) as bar, logs, watching as show:
        if start is None:
            folder.begin(settings, best)
            save_genes(state.best)
            saver = Saver(task, folder)
            saver.save(state, pace)  # so that a run can be resumed from its first moment
        else:
            error = float(state.best_fitness)
            rows = folder.resume(settings, start.num_bytes, best, outputs, error)
            save_genes(state.best)
            saver = Saver(task, folder, saved=begun.steps)
            if rows:
                traces.append(Info._make(rows[name] for name in Info._fields))
        logs.begin(path, settings)
        try:
            for state, trace, pace in evolution(task, begun):
                traces.append(trace)
                best = task.network(state.best)
                outputs = np.asarray(reconstruct(best, inputs))
                folder.add(trace._asdict(), best, outputs, float(state.best_fitness))
                save_genes(state.best)
                logs.add(pace.steps, *_logged(trace, pace, targets, outputs, low, high))
                status = evolution_status(trace, pace, begun.steps)
                bar.show(status)
                show(f"generation {status.steps:,}: {status}")
                if not np.isfinite(trace.best_fitness).all():
                    continue  # and the error is raised; no checkpoint may be later than its cause
                saver.save_if_due(state, pace)
                stopped = any_of(interrupted.is_set())
                if stopped:
                    break
        except InvalidFitnessError:
            folder.finish()
            folder.write_page()
            raise
        saver.save(state, pace)
        folder.finish()
        result = Result(
            state=state,
            network=best,
            trace=jax.tree.map(lambda *rows: np.concatenate(rows), *traces),
            folder=path,
            error=error_on(task.fitness, best, task.images),
            baselines=baselines,
            diversity=report.diversity(outputs, targets),
            num_evaluations=pace.steps * task.population_size,
            seconds=pace.seconds,
            stopped=stopped,
        )
        absolute_error = absolute_error_of(task, best, pixels)
        numbers = numbers_of(task, result, absolute_error)
        if config.noise is not None:
            columns = denoising(task.fitness, {"evolved": best}, task.images)
            write_table(path / DENOISING, list(columns), list(zip(*columns.values(), strict=True)))
        folder.write_page(numbers, views(task, best))

    print_end(
        console,
        error=result.error,
        baselines=baselines,
        absolute_error=absolute_error,
        diversity=result.diversity,
        num_generations=pace.steps,
        num_evaluations=result.num_evaluations,
        seconds=pace.seconds,
        folder=path,
        stopped=result.stopped,
    )
    return of_first(result)


def _follow(task: Task, begun: Pace = BEGINNING) -> Result:
    """What all processes but the first do: they evolve as it does, and write nothing."""
    check_memory(memory_of(task))
    _agree(task)
    with interrupts() as interrupted:
        for _, trace, _ in evolution(task, begun):
            if np.isfinite(trace.best_fitness).all() and any_of(interrupted.is_set()):
                break
    return cast(Result, of_first(None))


def _agree(task: Task) -> None:
    """Raises a `ValueError` unless all processes have the same settings, images and versions."""
    check_same("versions and devices", json.dumps(environment()))
    settings = to_json(dataclasses.replace(task.config, out=None, log=(), preset=""))
    check_same("settings", json.dumps(settings))
    check_same("images", identity(task.images))


def _logged(
    trace: Info, pace: Pace, targets: Any, outputs: Any, low: float, high: float
) -> tuple[dict[str, float], Callable[[], Image]]:
    """The scalars of the last generation, and what draws its gallery."""
    scalars = {name: float(values[-1]) for name, values in trace._asdict().items()}
    draw = functools.partial(report.gallery, targets, outputs, name="evolved", low=low, high=high)
    return scalars | {"generations_per_second": pace.speed}, draw
