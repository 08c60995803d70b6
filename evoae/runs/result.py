"""What a run ends with: its state, its trace, and the numbers that judge it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from evoae.fitness import compute_diversity
from evoae.runs.config.command_words import command
from evoae.runs.loop import Progress
from evoae.runs.measuring import (
    Snapshot,
    measure_absolute_error,
    measure_error,
    measure_evidence,
    measure_validation,
)
from evoae.runs.task import NUM_SHOWN, Task
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
      validation_error: of the validation images; None if there are none.
      baselines: the errors of the black, the mean and the median image.
      diversity: the mean difference between two outputs, divided by that between two images; NaN
        for one image. See `evoae.fitness.compute_diversity`.
      num_evaluations: candidates evaluated.
      seconds: spent on the generations, without the files that were written in between.
      stopped: whether Ctrl-C or SIGTERM ended it.
    """

    state: Any
    network: Params
    trace: Info
    folder: Path
    error: float
    validation_error: float | None
    baselines: dict[str, float]
    diversity: float
    num_evaluations: int
    seconds: float
    stopped: bool


def result_of(
    task: Task,
    snapshot: Snapshot,
    progress: Progress,
    trace: Info,
    folder: Path,
    baselines: Mapping[str, float],
) -> Result:
    """Judges what a run came to."""
    return Result(
        state=progress.state,
        network=snapshot.network,
        trace=trace,
        folder=folder,
        error=measure_error(task.fitness, snapshot.network, task.images),
        validation_error=measure_validation(task, snapshot.network),
        baselines=dict(baselines),
        diversity=compute_diversity(snapshot.outputs, task.pixels(NUM_SHOWN)),
        num_evaluations=task.config.strategy.num_evaluations(progress.state),
        seconds=progress.pace.seconds,
        stopped=progress.stopped,
    )


def numbers_of(task: Task, result: Result) -> dict[str, Any]:
    """What result.json holds."""
    return {
        "command": command(task.config),
        "error": result.error,
        "validation_error": result.validation_error,
        "baselines": result.baselines,
        "diversity": None if math.isnan(result.diversity) else result.diversity,
        "num_evaluations": result.num_evaluations,
        "seconds": result.seconds,
        "stopped": result.stopped,
        "num_weights": size(result.network),
        "num_genes": size(result.state.best),
        "num_images": len(task.images),
        "images_a_generation": task.config.batch_size or len(task.images),
        "absolute_error": measure_absolute_error(task, result.network),
        "evidence": None
        if task.config.kl_weight is None
        else measure_evidence(task.reconstruction, result.network, task.images)._asdict(),
    }
