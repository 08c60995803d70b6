"""What a reconstruction must beat: constant images, a linear code, and outputs all the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae.checks import check_choice, check_images, check_pair, check_range, check_whole
from evoae.fitness.reconstruction import OUTPUT_MARGIN, TARGET_MARGIN
from evoae.fitness.reconstruction_errors import ERRORS, check_sides, logit

CHUNK = 1_000  # images at work at a time

Array = npt.NDArray[np.float64]


@functools.partial(jax.jit, static_argnums=0)
def _errors(error: str, images: jax.Array, outputs: jax.Array) -> jax.Array:
    """The error of each image, before the mean of all is finished; [N]."""
    target, output = (jnp.transpose(x, (3, 1, 2, 0)) for x in (images, outputs))
    if ERRORS[error].of_logits:
        target, output = logit(target, TARGET_MARGIN), logit(output, OUTPUT_MARGIN)
    return ERRORS[error].values(output, target).reshape(-1, len(images)).mean(0)


def compute_error(images: npt.ArrayLike, outputs: npt.ArrayLike, *, error: str) -> float:
    """Computes the error of any outputs, as `evoae.fitness.reconstruction` defines it.

    In float32, `CHUNK` images at a time; the mean over images is in float64.

    Args:
      images: [N, H, W, C], from 0 to 1 for "bce", "logit_huber" and "ssim".
      outputs: of the same shape, or [H, W, C], one for all.
      error: one of `evoae.fitness.reconstruction_errors.ERRORS`.

    Raises:
      ValueError: an unknown error, shapes that do not match, images too small for the error.

    >>> compute_error(np.zeros((2, 3, 3, 1)), np.full((3, 3, 1), 0.5), error="mse")
    0.25
    """
    mean = _unfinished(images, outputs, error).mean(dtype=np.float64)
    return float(ERRORS[error].finish(jnp.float32(mean)))


def compute_errors(
    images: npt.ArrayLike, outputs: npt.ArrayLike, *, error: str
) -> npt.NDArray[np.float32]:
    """Computes the error of each image by itself, float32 [N]; the arguments are as above.

    Their mean is `compute_error`, except for "rmse", a root of the whole.

    >>> compute_errors(np.zeros((2, 1, 1, 1)), np.reshape([0.5, 1.0], (2, 1, 1, 1)), error="mse")
    array([0.25, 1.  ], dtype=float32)
    """
    unfinished = _unfinished(images, outputs, error)
    return np.asarray(ERRORS[error].finish(jnp.asarray(unfinished)))


def _unfinished(
    images: npt.ArrayLike, outputs: npt.ArrayLike, error: str
) -> npt.NDArray[np.float32]:
    """The errors of images before they, or their mean, are finished; [N]."""
    check_choice("error", error, ERRORS)
    targets = np.asarray(images, np.float32)
    check_sides(error, *targets.shape[1:3])
    given = np.broadcast_to(np.asarray(outputs, np.float32), targets.shape)
    starts = range(0, len(targets), CHUNK)
    parts = [_errors(error, targets[i : i + CHUNK], given[i : i + CHUNK]) for i in starts]
    return np.concatenate(parts)


def compute_baselines(
    images: npt.ArrayLike,
    *,
    error: str,
    low: float = 0.0,
    high: float = 1.0,
    fitted_to: npt.ArrayLike | None = None,
) -> dict[str, float]:
    """Computes the errors of three constant images: all black, the mean, the median image.

    Args:
      images: [N, H, W, C], C = 1 or 3, values in `low`..`high`.
      error: one of `evoae.fitness.reconstruction_errors.ERRORS`, of all images.
      low: the value of black, from 0 for "bce", "logit_huber" and "ssim".
      high: the value of white, up to 1 for these three.
      fitted_to: the images whose mean and median are taken, such as the training images where
        `images` are the test images; [M, H, W, C]. None takes `images` themselves.

    Returns:
      The errors of "black image", "mean image" and "median image".

    Raises:
      ValueError: an unknown error, wrong images, images too small for it, or values outside of
        `low`..`high`.

    >>> pixels = np.array([0.0, 0.0, 0.9]).reshape(3, 1, 1, 1)
    >>> found = compute_baselines(pixels, error="mae")
    >>> {name: round(value, 3) for name, value in found.items()}
    {'black image': 0.3, 'mean image': 0.4, 'median image': 0.3}
    """
    check_choice("error", error, ERRORS)
    check_range(low, high)
    if ERRORS[error].in_unit_interval and (low < 0 or high > 1):
        raise ValueError(f"low and high must be in 0..1 for {error}, got {low} and {high}")
    data = _within("images", images, low, high)
    fitted = data if fitted_to is None else _within("fitted_to", fitted_to, low, high)
    _check_fitted(data, fitted)
    constants = {
        "black image": np.full(data.shape[1:], low),
        "mean image": fitted.mean(axis=0),
        "median image": np.median(fitted, axis=0),
    }
    return {name: compute_error(data, its, error=error) for name, its in constants.items()}


def compute_pca_error(
    images: npt.ArrayLike,
    num_components: int,
    *,
    error: str,
    fitted_to: npt.ArrayLike | None = None,
) -> float:
    """Computes the error of images reconstructed from their first principal components.

    x' = m + V V^T (x - m), m the mean and V the eigenvectors with the largest eigenvalues of the
    covariance of the pixels. No other linear reconstruction has a smaller squared error on the
    images that it is fitted to. The result is not clipped to the range of the pixels.

    Args:
      images: [N, H, W, C], C = 1 or 3.
      num_components: from 1; with as many as pixels the error is 0.
      error: as for `compute_baselines`.
      fitted_to: the images that m and V are taken of, [M, H, W, C]; None takes `images`.

    Raises:
      ValueError: wrong images, an unknown error, a wrong number.

    Source: Hotelling (1933), "Analysis of a complex of statistical variables into principal
    components".

    >>> images = np.arange(12.0).reshape(3, 2, 2, 1) ** 2  # on a curve, and so not on a line
    >>> found = [compute_pca_error(images, number, error="mae") for number in (1, 2)]
    >>> found[0] > 0.1, round(found[1], 5)
    (True, 0.0)
    """
    check_choice("error", error, ERRORS)
    check_whole("num_components", num_components, 1)
    data = check_images("images", images)
    fitted = data if fitted_to is None else check_images("fitted_to", fitted_to)
    _check_fitted(data, fitted)
    x, learnt = (values.reshape(len(values), -1).astype(np.float64) for values in (data, fitted))
    mean = learnt.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(learnt, rowvar=False, bias=True))  # the largest come last
    components = vectors[:, -num_components:]
    output = mean + (x - mean) @ components @ components.T
    return compute_error(data, output.reshape(data.shape), error=error)


def compute_diversity(reconstructions: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Compares how different the reconstructions are with how different the targets are.

    The mean absolute difference over all pairs of reconstructions, divided by that over all pairs
    of targets: 0 when all outputs are one image, near 1 for faithful ones. Below 0.05 an
    autoencoder has collapsed: it draws an average and ignores its input.

    Args:
      reconstructions: [N, H, W, C], C = 1 or 3.
      targets: the same shape.

    Returns:
      The ratio, from 0; NaN for a single target, where it has no meaning.

    Raises:
      ValueError: shapes that do not match, no images, NaN or infinite values.

    >>> targets = np.arange(3.0).reshape(3, 1, 1, 1)
    >>> compute_diversity(targets / 4, targets)
    0.25
    """
    targets, reconstructions = check_pair(targets, reconstructions)
    spread = _summed_differences(targets)
    return _summed_differences(reconstructions) / spread if spread > 0 else float("nan")


def _within(name: str, images: npt.ArrayLike, low: float, high: float) -> Array:
    data = check_images(name, images).astype(np.float64)
    if data.min() < low - 1e-5 or data.max() > high + 1e-5:  # the rounding of float32
        raise ValueError(
            f"{name} must be in low..high, {low:g}..{high:g}, got {data.min():g}..{data.max():g}"
        )
    return data


def _check_fitted(images: npt.NDArray[np.floating], fitted: npt.NDArray[np.floating]) -> None:
    if fitted.shape[1:] != images.shape[1:]:
        raise ValueError(
            f"fitted_to must be images of shape {images.shape[1:]}, got {fitted.shape[1:]}"
        )


def _summed_differences(images: npt.NDArray[np.floating]) -> float:
    # Sorted, the k-th of n values is the larger in k pairs and the smaller in n - 1 - k.
    number = len(images)
    weights = 2 * np.arange(number) - (number - 1)
    ordered = np.sort(images.reshape(number, -1).astype(np.float64), axis=0)
    return float(weights @ (ordered - ordered[0]).sum(axis=1))  # exactly 0 for equal images
