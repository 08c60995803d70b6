"""What a run prints before its first generation and after its last."""

import math
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
from rich.console import Console

from evoae.data.reading import count_images
from evoae.engine.versions import device, unused_accelerator
from evoae.report.words import (
    COLLAPSED,
    ERROR_NAMES,
    describe_bound,
    describe_error,
    describe_model,
)
from evoae.runs.config import ModelConfig
from evoae.runs.result import Result
from evoae.runs.task import Task
from evoae.trees import size


def new_console(*, quiet: bool) -> Console:
    """Makes a console that prints lines as they are: no colours by guess, no breaks."""
    return Console(quiet=quiet, highlight=False, markup=False, soft_wrap=True)


def print_start(console: Console, task: Task, baselines: Mapping[str, float]) -> None:
    """Prints the device, the data, the model and the errors to beat, by name."""
    config = task.config
    console.print(f"device       {device()}")
    if unused := unused_accelerator():
        console.print(f"warning      {unused}", style="yellow")
    images = count_images(len(task.images))
    console.print(f"data         {config.data.source}: {images} of {describe_size(task.images)}")
    for note in task.notes:
        console.print(f"             {note}")
    num_weights, num_genes = size(task.decoder.like), size(task.state.best)
    genes = "" if num_genes == num_weights else f" from {num_genes:,} genes"
    kind = "" if config.kl_weight is None else ", variational"
    if isinstance(config.model, ModelConfig):
        kind = f"{describe_model(config.model.latent_size, config.model.channels)}{kind}"
    console.print(f"model        {config.model_name}{kind}: {num_weights:,} weights{genes}")
    if config.weights is not None:
        console.print("             begins with the weights of a file")
    errors = ", ".join(f"{name} {value:.4f}" for name, value in baselines.items()) or "none"
    console.print(f"baselines    {errors} ({config.error_name})")


def describe_size(images: npt.NDArray[Any]) -> str:
    """The size of images [N, H, W, C], and whether they have colours.

    >>> import numpy as np
    >>> describe_size(np.zeros((5, 28, 30, 1), np.uint8)), describe_size(np.zeros((5, 8, 8, 3)))
    ('28x30 grey', '8x8 RGB')
    """
    _, height, width, channels = images.shape
    colour = {1: "grey", 3: "RGB"}.get(channels, f"x {channels} channels")
    return f"{height}x{width} {colour}"


def print_end(console: Console, result: Result, numbers: Mapping[str, Any]) -> None:
    """Prints what a run came to; `numbers` are those of its result.json."""
    if result.stopped:
        console.print(f"stopped      early; to go on: evoae resume {result.folder}", style="yellow")
    console.print(f"error        {describe_error(result.error, result.baselines)}", style="bold")
    if result.validation_error is not None:
        console.print(f"validation   {result.validation_error:.4f} on images that were kept out")
    if absolute := numbers["absolute_error"]:
        console.print(f"absolute     {describe_error(*absolute)} ({ERROR_NAMES['mae']})")
    if evidence := numbers["evidence"]:
        console.print(f"evidence     {describe_bound(**evidence)}")
    if not math.isnan(result.diversity):
        console.print(f"diversity    {result.diversity:.2f} of that of the images")
        if result.diversity < COLLAPSED:
            console.print("warning      collapsed: the outputs are all the same", style="yellow")
    generations, seconds = len(result.trace.best_fitness), result.seconds
    evaluated = f"{result.num_evaluations:,} candidates evaluated"
    console.print(f"generations  {generations:,} in {seconds:,.1f} s, {evaluated}")
    console.print(f"folder       {result.folder}")
