"""What a run ends with: its state, its trace, and the numbers by which it is judged."""

import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple

from evoae.fitness import compute_baselines
from evoae.fitness.errors import ErrorName
from evoae.runs.config.command import command
from evoae.runs.evidence import evidence
from evoae.runs.task import Images, Task, error_of_inputs, error_on
from evoae.trees import size
from evoae.types import Info, Params


class Result(NamedTuple):
    """What a run ends with.

    Attributes:
      state: the last state of the strategy; `state.best` are the best genes.
      network: the best weights, which these decode to.
      trace: scalars by generation, NumPy arrays [G]; those before a stop included.
      folder: where the files are.
      error: of the best weights on all images, computed anew.
      baselines: the errors of the black, the mean and the median image.
      diversity: how much the outputs differ from each other, by how much the images do; NaN for
        one image. See `evoae.fitness.compute_diversity`.
      num_evaluations: candidates evaluated.
      seconds: spent on the generations, without the files that were written in between.
      stopped: whether Ctrl-C or SIGTERM ended it.
    """

    state: Any
    network: Params
    trace: Info
    folder: Path
    error: float
    baselines: dict[str, float]
    diversity: float
    num_evaluations: int
    seconds: float
    stopped: bool


def numbers_of(
    task: Task, result: Result, absolute_error: tuple[float, dict[str, float]] | None
) -> dict[str, Any]:
    """What result.json holds."""
    return {
        "command": command(task.config),
        "error": result.error,
        "baselines": result.baselines,
        "diversity": None if math.isnan(result.diversity) else result.diversity,
        "num_evaluations": result.num_evaluations,
        "seconds": result.seconds,
        "stopped": result.stopped,
        "num_weights": size(result.network),
        "num_genes": size(result.state.best),
        "num_images": len(task.images),
        "images_a_generation": task.config.batch_size or len(task.images),
        "absolute_error": absolute_error,
        "evidence": None
        if task.config.kl_weight is None
        else evidence(task.fitness, result.network, task.images)._asdict(),
    }


def baselines_of(task: Task, pixels: Images, error: ErrorName) -> dict[str, float]:
    """The errors of constant images, and of the noisy images themselves where there is noise.

    Pixels are the images of the task as floats [N, H, W, C].
    """
    low, high = task.config.data.low, task.config.data.high
    found = compute_baselines(pixels, error=error, low=low, high=high)
    if len(pixels) == 1:  # which is its own mean and median
        found = {"black image": found["black image"]}
    if task.config.noise is not None:
        fitness = dataclasses.replace(task.fitness, error=error)
        found["noisy image"] = error_of_inputs(fitness, task.images)
    return found


def absolute_error_of(
    task: Task, params: Params, pixels: Images
) -> tuple[float, dict[str, float]] | None:
    """The mean absolute error of a network, and its baselines, for a reader to picture.

    None where it is the error that was learnt from.
    """
    if task.config.error == "mae" and task.config.kl_weight is None:
        return None
    fitness = dataclasses.replace(task.fitness, error="mae", kl_weight=None)
    return error_on(fitness, params, task.images), baselines_of(task, pixels, "mae")
