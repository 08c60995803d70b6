"""Errors and models in words."""

from collections.abc import Mapping, Sequence

COLLAPSED = 0.05  # the diversity below which all outputs count as the same

ERROR_NAMES = {
    "mae": "mean absolute error per pixel",
    "mse": "mean squared error per pixel",
    "rmse": "root mean squared error per pixel",
    "bce": "binary cross entropy per pixel",
    "logit_huber": "Huber error of logits per pixel",
    "correlation": "1 - correlation of images",
    "ssim": "1 - structural similarity of images",
}


def name_error(error: str, kl_weight: float | None = None, fitness: object = None) -> str:
    """Names what the search minimises: an error, a bound, or the user's own fitness.

    >>> name_error("bce", 1.0)
    'binary cross entropy per pixel + KL divergence'
    """
    if fitness is not None:
        return "fitness"
    if kl_weight is None:
        return ERROR_NAMES[error]
    times = "" if kl_weight == 1 else f"{kl_weight:g} x "
    return f"{ERROR_NAMES[error]} + {times}KL divergence"


def describe_bound(reconstruction: float, divergence: float) -> str:
    """Tells the evidence lower bound of an image from its negative parts.

    >>> describe_bound(140.25, 13.0)
    '-153.2 an image: reconstruction 140.2, divergence 13.0'
    """
    return (
        f"{-reconstruction - divergence:.1f} an image: reconstruction {reconstruction:.1f}, "
        f"divergence {divergence:.1f}"
    )


def describe_error(error: float, baselines: Mapping[str, float]) -> str:
    """Compares an error with the smallest of its baselines.

    >>> describe_error(0.05, {"black image": 0.1, "mean image": 0.07})
    '0.0500, below the mean image, 0.0700'
    """
    if not baselines:
        return f"{error:.4f}"
    name, smallest = min(baselines.items(), key=lambda item: item[1])
    relation = "below" if error < smallest else "not below"
    return f"{error:.4f}, {relation} the {name}, {smallest:.4f}"


def describe_model(latent_size: int | None, channels: Sequence[int] | None) -> str:
    """The settings of a named model, to stand behind its name.

    >>> describe_model(4, (8, 16)), describe_model(None, None)
    (' of 8 and 16 channels, 4 latent values', '')
    """
    words = []
    if channels:
        *first, last = map(str, channels)
        words = [f"{', '.join(first)} and {last} channels" if first else f"{last} channels"]
    words += [] if latent_size is None else [f"{latent_size} latent values"]
    return f" of {', '.join(words)}" if words else ""
