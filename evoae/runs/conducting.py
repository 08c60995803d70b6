"""What goes on in a run: blocks of generations, and between them what is shown and written."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from PIL.Image import Image
from rich.console import Console

from evoae import data, report
from evoae.engine.environment import environment
from evoae.engine.evolution import InvalidFitnessError
from evoae.engine.hosts import any_of, check_same, of_first
from evoae.fitness import compute_diversity
from evoae.models.networks import applied
from evoae.report.page import PAGE
from evoae.report.table import write_table
from evoae.report.words import name_error
from evoae.runs.clock import BEGINNING, Pace, interrupts
from evoae.runs.config import to_json
from evoae.runs.console import print_end, print_start
from evoae.runs.denoising import FILE as DENOISING
from evoae.runs.denoising import denoising
from evoae.runs.folder import RunFolder
from evoae.runs.live import in_notebook, watched
from evoae.runs.progress import ProgressBar
from evoae.runs.result import Result, absolute_error_of, baselines_of, numbers_of
from evoae.runs.saving import Saver, Start, identity, portable
from evoae.runs.task import (
    NUM_SHOWN,
    Task,
    error_on,
    evolution,
    evolution_status,
    shown_inputs,
)
from evoae.runs.trackers import Logs
from evoae.runs.views import views, views_of_genes
from evoae.trees import size
from evoae.types import Genes, Info


def conduct(
    task: Task,
    path: Path,
    console: Console,
    logs: Logs,
    start: Start | None = None,
    *,
    live: bool = False,
) -> Result:
    """Evolves to the end of the settings or a stop, and writes and prints all that there is.

    Args:
      task: where the run stands.
      path: its folder, which this process alone writes.
      console: where its start, its progress and its end are printed.
      logs: the trackers that it reports to.
      start: how it was taken up; None for a new one.
      live: show its page while it goes on.

    Raises:
      InvalidFitnessError: a generation without a finite error, after all before it was written.
    """
    config, begun = task.config, start.pace if start else BEGINNING
    _agree(task)
    low, high = config.data.low, config.data.high
    pixels = data.scale(task.images, low, high)
    baselines = baselines_of(task, pixels, config.error)
    print_start(
        console,
        source=config.data.source,
        image_shape=pixels.shape,
        model=config.model.name + ", variational" * (config.kl_weight is not None),
        num_weights=size(task.decoder.like),
        num_genes=size(task.state.best),
        baselines=baselines,
        error_name=name_error(config.error, config.kl_weight),
    )

    targets = pixels[:NUM_SHOWN]
    inputs = shown_inputs(task, targets)
    folder = RunFolder(
        path,
        targets,
        low=low,
        high=high,
        baselines=baselines,
        error_name=name_error(config.error, config.kl_weight),
        minibatches=not config.same_data,
        inputs=inputs if config.noise is not None else None,
    )
    state, pace, traces, stopped = task.state, begun, [], False
    best = task.network(state.best)
    outputs = np.asarray(applied(task.model, best, inputs))
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
        logs.begin(path, settings, begun.steps)
        try:
            for state, trace, pace in evolution(task, begun):
                traces.append(trace)
                best = task.network(state.best)
                outputs = np.asarray(applied(task.model, best, inputs))
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
            diversity=compute_diversity(outputs, targets),
            num_evaluations=pace.steps * task.population_size,
            seconds=pace.seconds,
            stopped=stopped,
        )
        absolute_error = absolute_error_of(task, best, pixels)
        numbers = numbers_of(task, result, absolute_error)
        if config.noise is not None:
            columns = denoising(task.fitness, {"evolved": best}, task.images)
            write_table(path / DENOISING, list(columns), list(zip(*columns.values(), strict=True)))
        shown = views(task, best) | views_of_genes(task, state.best, best)
        folder.write_page(numbers, shown)

    print_end(
        console,
        error=result.error,
        baselines=baselines,
        absolute_error=absolute_error,
        evidence=numbers["evidence"],
        diversity=result.diversity,
        num_generations=pace.steps,
        num_evaluations=result.num_evaluations,
        seconds=pace.seconds,
        folder=path,
        stopped=result.stopped,
    )
    return of_first(result)


def follow(task: Task, begun: Pace = BEGINNING) -> Result:
    """What all processes but the first do: they evolve as it does, and write nothing."""
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
    draw = functools.partial(
        report.draw_gallery, targets, outputs, name="evolved", low=low, high=high
    )
    return scalars | {"generations_per_second": pace.speed}, draw
