"""What a run prints before its first generation and after its last."""

import math
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from evoae.engine.environment import device, unused_accelerator

COLLAPSED = 0.05  # the diversity below which the outputs are one and the same

ERROR_NAMES = {
    "mae": "mean absolute error per pixel",
    "mse": "mean squared error per pixel",
    "rmse": "root mean squared error per pixel",
    "bce": "binary cross entropy per pixel",
    "logit_huber": "Huber error of logits per pixel",
    "correlation": "1 - correlation of images",
    "ssim": "1 - structural similarity of images",
}


def error_name(error: str, kl_weight: float | None = None) -> str:
    """What is made smaller, in words.

    Args:
      error: one of `ERROR_NAMES`.
      kl_weight: of a variational autoencoder; None for another one.

    >>> error_name("bce", 1.0)
    'binary cross entropy per pixel + KL divergence'
    """
    if kl_weight is None:
        return ERROR_NAMES[error]
    times = "" if kl_weight == 1 else f"{kl_weight:g} x "
    return f"{ERROR_NAMES[error]} + {times}KL divergence"


def new_console(*, quiet: bool) -> Console:
    """A console that prints lines as they are: no colours by guess, no breaks."""
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
      error_name: what they are, from `error_name`.

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
    errors = ", ".join(f"{name} {value:.4f}" for name, value in baselines.items())
    console.print(f"baselines    {errors} ({error_name})")


def print_end(
    console: Console,
    *,
    error: float,
    baselines: Mapping[str, float],
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
    console.print(f"error        {against(error, baselines)}", style="bold")
    if absolute_error is not None:
        console.print(f"absolute     {against(*absolute_error)} ({ERROR_NAMES['mae']})")
    if evidence is not None:
        console.print(f"evidence     {bound(**evidence)}")
    if not math.isnan(diversity):
        console.print(f"diversity    {diversity:.2f} of that of the images")
        if diversity < COLLAPSED:
            console.print("warning      collapsed: the outputs are all the same", style="yellow")
    console.print(
        f"generations  {num_generations:,} in {seconds:,.1f} s, "
        f"{num_evaluations:,} candidates evaluated"
    )
    console.print(f"folder       {folder}")


def bound(reconstruction: float, divergence: float) -> str:
    """The evidence lower bound of an image, from its negative parts, in words.

    >>> bound(140.25, 13.0)
    '-153.2 an image: reconstruction 140.2, divergence 13.0'
    """
    return (
        f"{-reconstruction - divergence:.1f} an image: reconstruction {reconstruction:.1f}, "
        f"divergence {divergence:.1f}"
    )


def against(error: float, baselines: Mapping[str, float]) -> str:
    """An error beside the smallest of its baselines, in words.

    >>> against(0.05, {"black image": 0.1, "mean image": 0.07})
    '0.0500, below the mean image, 0.0700'
    """
    name, smallest = min(baselines.items(), key=lambda item: item[1])
    relation = "below" if error < smallest else "not below"
    return f"{error:.4f}, {relation} the {name}, {smallest:.4f}"
