"""How far an output is from its target: values, and an error from their mean."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

ErrorName = Literal["mae", "mse", "rmse", "bce", "logit_huber", "correlation", "ssim"]

# Of structural similarity, by its publication; pixels are in 0..1.
WINDOW, SIGMA, SSIM_CONSTANTS = 11, 1.5, (0.01**2, 0.03**2)
# Added to variances, so that an image of one colour has a correlation with others: 0.
SMALLEST_VARIANCE = 1e-8


class Expansion(NamedTuple):
    """An error of single values near an output: a parabola for each, of the outputs' shape.

    Attributes:
      values: of the error.
      slopes: by the output.
      curvatures: from 0, of a parabola; not always the second derivative.
    """

    values: jax.Array
    slopes: jax.Array
    curvatures: jax.Array


class Error(NamedTuple):
    """An error in two steps: values, whose mean is finished."""

    # (output, target) -> a value for each pixel, of the same shape; where `of_pixels` is off,
    # [channels, height, width, N] -> any number of values
    values: Callable[[jax.Array, jax.Array], jax.Array]
    # (output, target, floor) -> its expansion; None where values are not those of single pixels.
    # A distance below the floor counts by its square, so that its slope is no jump.
    expand: Callable[[jax.Array, jax.Array, jax.Array], Expansion] | None
    # The mean of these values -> the error
    finish: Callable[[jax.Array], jax.Array] = lambda mean: mean
    in_unit_interval: bool = False  # whether pixels must be in 0..1
    # Whether `values` takes logits. Those of an output that a sigmoid ends are what goes into
    # the sigmoid, and are read there.
    of_logits: bool = False
    smallest_side: int = 1  # of the images, in pixels

    @property
    def of_pixels(self) -> bool:
        """Whether each value is that of one pixel: where few pixels change, few values do."""
        return self.expand is not None


def _cross_entropy(output: jax.Array, target: jax.Array) -> jax.Array:
    output = jnp.clip(output, 1e-6, 1 - 1e-6)
    return -(target * jnp.log(output) + (1 - target) * jnp.log1p(-output))


def _huber(output: jax.Array, target: jax.Array) -> jax.Array:
    distance = jnp.abs(output - target)
    inside = jnp.minimum(distance, 1.0)
    return inside * (distance - 0.5 * inside)


def expand_square(
    output: jax.Array, target: jax.Array | float, floor: jax.Array | float
) -> Expansion:
    """The square of the difference near an output, which is a parabola itself."""
    difference = output - target
    return Expansion(jnp.square(difference), 2 * difference, jnp.full_like(output, 2.0))


def _expand_distance(output: jax.Array, target: jax.Array, floor: jax.Array) -> Expansion:
    """By the parabola that touches the distance at both sides of the target.

    Least squares with these curvatures for weights, again and again, are least absolute deviations
    (iteratively reweighted least squares: Holland and Welsch 1977).
    """
    difference = output - target
    distance = jnp.abs(difference)
    reach = jnp.maximum(distance, floor)
    values = jnp.where(distance < floor, 0.5 * (jnp.square(distance) / floor + floor), distance)
    return Expansion(values, difference / reach, 1 / reach)


def _expand_cross_entropy(output: jax.Array, target: jax.Array, floor: jax.Array) -> Expansion:
    output = jnp.clip(output, 1e-6, 1 - 1e-6)
    curvatures = 1 / (output * (1 - output))  # Fisher's: the mean over targets drawn by the output
    return Expansion(_cross_entropy(output, target), (output - target) * curvatures, curvatures)


def _expand_huber(output: jax.Array, target: jax.Array, floor: jax.Array) -> Expansion:
    _, slopes, curvatures = _expand_distance(output, target, jnp.float32(1.0))
    return Expansion(_huber(output, target), slopes, curvatures)


def _square(output: jax.Array, target: jax.Array) -> jax.Array:
    return jnp.square(output - target)


def _distance(output: jax.Array, target: jax.Array) -> jax.Array:
    return jnp.abs(output - target)


def _correlation(output: jax.Array, target: jax.Array) -> jax.Array:
    """1 - Pearson's correlation of the pixels of each image: [N]."""
    flat = (x.reshape(-1, x.shape[-1]) for x in (output, target))
    y, t = (lax.optimization_barrier(x - x.mean(0, keepdims=True)) for x in flat)
    variances = [jnp.square(x).mean(0) + SMALLEST_VARIANCE for x in (y, t)]
    return 1 - (y * t).mean(0) / jnp.sqrt(variances[0] * variances[1])


def _ssim(output: jax.Array, target: jax.Array) -> jax.Array:
    """1 - structural similarity (Wang et al. 2004, equation 13) of all whole windows."""
    mean_y, mean_t = _local_means(output), _local_means(target)
    variance_y = _local_means(jnp.square(output)) - jnp.square(mean_y)
    variance_t = _local_means(jnp.square(target)) - jnp.square(mean_t)
    covariance = _local_means(output * target) - mean_y * mean_t
    c1, c2 = SSIM_CONSTANTS
    similarity = (2 * mean_y * mean_t + c1) * (2 * covariance + c2)
    return 1 - similarity / (
        (jnp.square(mean_y) + jnp.square(mean_t) + c1) * (variance_y + variance_t + c2)
    )


def window() -> np.ndarray:
    """The weights along one axis of the Gaussian window of structural similarity, [11].

    >>> window().shape, float(window().sum())
    ((11,), 1.0)
    """
    weights = np.exp(-0.5 * np.square((np.arange(WINDOW) - WINDOW // 2) / SIGMA))
    return weights / weights.sum()


def _windows(side: int) -> np.ndarray:
    """All whole windows along an axis, one a row: [side - 10, side]."""
    return np.stack([np.pad(window(), (i, side - WINDOW - i)) for i in range(side - WINDOW + 1)])


def _local_means(x: jax.Array) -> jax.Array:
    """[channels, height, width, N] -> [channels, height - 10, width - 10, N]."""
    rows, columns = (jnp.asarray(_windows(side), x.dtype) for side in x.shape[1:3])
    return jnp.einsum("ih,jw,chwn->cijn", rows, columns, x, precision="highest")


ERRORS: dict[str, Error] = {
    "mae": Error(_distance, _expand_distance),
    "mse": Error(_square, expand_square),
    "rmse": Error(_square, expand_square, jnp.sqrt),
    "bce": Error(_cross_entropy, _expand_cross_entropy, in_unit_interval=True),
    "logit_huber": Error(_huber, _expand_huber, in_unit_interval=True, of_logits=True),
    "correlation": Error(_correlation, None),
    "ssim": Error(_ssim, None, in_unit_interval=True, smallest_side=WINDOW),
}


def check_sides(error: str, height: int, width: int) -> None:
    """Raises a `ValueError` where images are too small for an error.

    >>> check_sides("ssim", 28, 8)
    Traceback (most recent call last):
        ...
    ValueError: error: ssim needs images of at least 11x11 pixels, got 28x8
    """
    side = ERRORS[error].smallest_side
    if min(height, width) < side:
        raise ValueError(
            f"error: {error} needs images of at least {side}x{side} pixels, got {height}x{width}"
        )


def logit(x: jax.Array, margin: float) -> jax.Array:
    """log(x / (1 - x)), the inverse of the sigmoid, with x clipped to margin..1-margin."""
    x = jnp.clip(x, margin, 1 - margin)
    return jnp.log(x) - jnp.log1p(-x)
