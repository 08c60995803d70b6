"""What a run prints before its first generation and after its last."""

import math
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from evoae.engine.versions import device, unused_accelerator
from evoae.report.words import COLLAPSED, ERROR_NAMES, describe_bound, describe_error


def new_console(*, quiet: bool) -> Console:
    """Makes a console that prints lines as they are: no colours by guess, no breaks."""
    return Console(quiet=quiet, highlight=False, markup=False, soft_wrap=True)


def print_start(
    console: Console,
    *,
    source: str,
    image_shape: tuple[int, ...],
    model: str,
    num_weights: int,
    num_genes: int,
    baselines: Mapping[str, float],
    error_name: str,
) -> None:
    """Prints the device, the data, the model and the errors to beat.

    Args:
      console: where to.
      source: the name of the data.
      image_shape: (N, height, width, channels).
      model: the name of the model.
      num_weights: how many it has.
      num_genes: what the search sees; as many with the direct encoding.
      baselines: errors of constant images, by name.
      error_name: what they are, from `evoae.report.words.name_error`.

    >>> import sys
    >>> console = Console(file=sys.stdout, width=80)
    >>> print_start(console, source="digits10", image_shape=(10, 28, 28, 1), model="mlp",
    ...     num_weights=1_234, num_genes=99, baselines={"mean image": 0.1},
    ...     error_name="mean absolute error per pixel",
    ... )  # doctest: +ELLIPSIS
    device       ...
    data         digits10: 10 images of 28x28
    model        mlp: 1,234 weights from 99 genes
    baselines    mean image 0.1000 (mean absolute error per pixel)
    """
    console.print(f"device       {device()}")
    if unused := unused_accelerator():
        console.print(f"warning      {unused}", style="yellow")
    number, height, width, _ = image_shape
    images = "1 image" if number == 1 else f"{number:,} images"
    console.print(f"data         {source}: {images} of {height}x{width}")
    genes = "" if num_genes == num_weights else f" from {num_genes:,} genes"
    console.print(f"model        {model}: {num_weights:,} weights{genes}")
    errors = ", ".join(f"{name} {value:.4f}" for name, value in baselines.items()) or "none"
    console.print(f"baselines    {errors} ({error_name})")


def print_end(
    console: Console,
    *,
    error: float,
    baselines: Mapping[str, float],
    validation_error: float | None = None,
    absolute_error: tuple[float, Mapping[str, float]] | None = None,
    evidence: Mapping[str, float] | None = None,
    diversity: float,
    num_generations: int,
    num_evaluations: int,
    seconds: float,
    folder: Path,
    stopped: bool,
) -> None:
    """Prints what a run came to; the arguments are those of `evoae.runs.training.Result`.

    With `absolute_error`, the mean absolute error and its baselines, these are printed as well; so
    are the parts of `evidence`, of a variational autoencoder.
    """
    if stopped:
        console.print(f"stopped      early; to go on: evoae resume {folder}", style="yellow")
    console.print(f"error        {describe_error(error, baselines)}", style="bold")
    if validation_error is not None:
        console.print(f"validation   {validation_error:.4f} on images that were kept out")
    if absolute_error is not None:
        console.print(f"absolute     {describe_error(*absolute_error)} ({ERROR_NAMES['mae']})")
    if evidence is not None:
        console.print(f"evidence     {describe_bound(**evidence)}")
    if not math.isnan(diversity):
        console.print(f"diversity    {diversity:.2f} of that of the images")
        if diversity < COLLAPSED:
            console.print("warning      collapsed: the outputs are all the same", style="yellow")
    console.print(
        f"generations  {num_generations:,} in {seconds:,.1f} s, "
        f"{num_evaluations:,} candidates evaluated"
    )
    console.print(f"folder       {folder}")
