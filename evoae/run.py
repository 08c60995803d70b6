"""One run: evolve in blocks, and between them show how it goes and write what there is."""

import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from evoae import data, report
from evoae.config import RunConfig, to_json
from evoae.config.command import command
from evoae.errors import ErrorName
from evoae.evolve import InvalidFitnessError
from evoae.pace import Pace, interrupts
from evoae.report.device import environment
from evoae.report.folder import RunFolder, free_folder
from evoae.report.page.live import in_notebook, watched
from evoae.report.progress import ProgressBar, Status
from evoae.report.summary import ERROR_NAMES, new_console, print_end, print_start
from evoae.report.weights import load_weights
from evoae.task import Task, error_on, evolution, prepare
from evoae.tree import size
from evoae.types import Info
from evoae.views import views

__all__ = ["Result", "load_weights", "train"]

NUM_SHOWN = 10  # images in the pictures


class Result(NamedTuple):
    """What a run ends with.

    Attributes:
      state: the last state of the strategy; `state.best` are the best weights.
      trace: scalars by generation, NumPy arrays [G].
      folder: where the files are.
      error: of the best weights on all images, computed anew.
      baselines: the errors of the black, the mean and the median image.
      diversity: how much the outputs differ from each other, by how much the images do; NaN for
        one image. See `evoae.report.diversity`.
      num_evaluations: candidates evaluated.
      seconds: spent on the generations, without the files that were written in between.
      stopped: whether Ctrl-C ended it.
    """

    state: Any
    trace: Info
    folder: Path
    error: float
    baselines: dict[str, float]
    diversity: float
    num_evaluations: int
    seconds: float
    stopped: bool


def train(config: RunConfig, *, progress: bool = True, live: bool = False) -> Result:
    """Evolves an autoencoder and writes a folder with its settings, weights, numbers and pictures.

    The folder holds config.json (the settings, the versions, the device), best.npz (for
    `load_weights`), metrics.csv (a row a generation), gallery.png, curve.png, evolution.gif,
    report.html (all of it on one page), and what that page is made from besides, result.json (the
    numbers that are printed) and report.npz. The first two are there from the start, so that a run
    that is killed leaves something. Ctrl-C ends the run after its current block of generations, and
    everything is written. In a notebook the images and the curve are shown in the cell as the run
    goes on.

    Args:
      config: the settings, such as one of `evoae.config.PRESETS`.
      progress: print the device, the baselines, the progress and the result.
      live: show the page while the run goes on, to browsers on this machine; prints its address.

    Raises:
      ValueError: settings and images that do not fit together, or a folder that is not empty.
      OSError: what cannot be read or written.
      InvalidFitnessError: a generation without a finite error; what came before it is written.

    >>> import dataclasses, pathlib, tempfile
    >>> from evoae.config import PRESETS
    >>> with tempfile.TemporaryDirectory() as out:
    ...     short = {"num_generations": 3, "out": pathlib.Path(out)}
    ...     result = train(dataclasses.replace(PRESETS["paper-one"], **short), progress=False)
    >>> result.trace.best_fitness.shape, result.num_evaluations
    ((3,), 30)
    """
    console = new_console(quiet=not progress)
    path = free_folder(config.out, config.preset)
    task = prepare(config)
    low, high = config.data.low, config.data.high
    pixels = data.scale(task.images, low, high)
    baselines = _baselines(pixels, config, config.error)
    print_start(
        console,
        source=config.data.source,
        image_shape=pixels.shape,
        model=config.model.name,
        num_weights=size(task.state.best),
        baselines=baselines,
        error=config.error,
    )

    targets = pixels[:NUM_SHOWN]
    reconstruct = jax.jit(task.model.apply)
    folder = RunFolder(
        path,
        targets,
        low=low,
        high=high,
        baselines=baselines,
        error_name=ERROR_NAMES[config.error],
        minibatches=config.batch_size is not None,
    )
    traces: list[Info] = []
    watching = watched(
        folder.record,
        path / "report.html",
        lambda line: print(line, flush=True),
        live=live,
        notebook=progress and in_notebook(),
    )
    with interrupts() as interrupted, ProgressBar(console) as bar, watching as show:
        folder.begin({"config": to_json(config), "environment": environment()}, task.state.best)
        try:
            for state, trace, pace in evolution(task):
                traces.append(trace)
                outputs = np.asarray(reconstruct(state.best, targets))
                folder.add(trace._asdict(), state.best, outputs, float(state.best_fitness))
                status = evolution_status(trace, pace)
                bar.show(status)
                show(f"generation {status.steps:,}: {status}")
                if interrupted.is_set():
                    break
        except InvalidFitnessError:
            folder.finish()
            folder.write_page()
            raise
        folder.finish()
        result = Result(
            state=state,
            trace=jax.tree.map(lambda *rows: np.concatenate(rows), *traces),
            folder=path,
            error=error_on(task.fitness, state.best, task.images),
            baselines=baselines,
            diversity=report.diversity(outputs, targets),
            num_evaluations=pace.steps * task.population_size,
            seconds=pace.seconds,
            stopped=interrupted.is_set(),
        )
        absolute_error = None
        if config.error != "mae":  # an error that a reader can picture
            fitness = dataclasses.replace(task.fitness, error="mae")
            absolute_error = (
                error_on(fitness, state.best, task.images),
                _baselines(pixels, config, "mae"),
            )
        numbers = _numbers(task, result) | {"absolute_error": absolute_error}
        folder.write_page(numbers, views(task, state.best))

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
    return result


def _numbers(task: Task, result: Result) -> dict[str, Any]:
    """What result.json holds, but for the absolute error."""
    return {
        "command": command(task.config),
        "error": result.error,
        "baselines": result.baselines,
        "diversity": None if math.isnan(result.diversity) else result.diversity,
        "num_evaluations": result.num_evaluations,
        "seconds": result.seconds,
        "stopped": result.stopped,
        "num_weights": size(result.state.best),
        "num_images": len(task.images),
        "images_a_generation": task.config.batch_size or len(task.images),
    }


def _baselines(pixels: Any, config: RunConfig, error: ErrorName) -> dict[str, float]:
    found = report.baselines(pixels, error=error, low=config.data.low, high=config.data.high)
    if len(pixels) == 1:  # which is its own mean and median
        return {"black image": found["black image"]}
    return found


def evolution_status(trace: Info, pace: Pace) -> Status:
    """What the progress bar shows after a block of generations."""
    # The first two blocks compile, which tells nothing of what comes.
    return Status(
        done=pace.done,
        steps=pace.steps,
        best=float(trace.best_fitness[-1]),
        mean=float(trace.mean_fitness[-1]),
        speed=pace.speed if pace.steps > 5 else math.nan,
        seconds_left=pace.seconds_left,
    )
