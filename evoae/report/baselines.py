"""What a reconstruction must beat: constant images, and outputs that are all the same."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from evoae.checks import check_choice, check_range
from evoae.fitness import errors
from evoae.report.checks import check_images, check_pair

Array = npt.NDArray[np.float64]

CHUNK = 1_000  # images whose local means are computed together


def _binary_cross_entropy(images: Array, output: Array) -> float:
    guess = np.clip(output, 1e-6, 1 - 1e-6)
    return float(-(images * np.log(guess) + (1 - images) * np.log(1 - guess)).mean())


def _logit_huber(images: Array, output: Array) -> float:
    image, guess = np.clip(images, 0.01, 0.99), np.clip(output, 1e-6, 1 - 1e-6)
    distance = np.abs(np.log(guess / (1 - guess)) - np.log(image / (1 - image)))
    return float(np.where(distance < 1, distance**2 / 2, distance - 0.5).mean())


def _of_images(values: Callable[[Array, Array], Array]) -> Callable[[Array, Array], float]:
    """The mean over images of 1 - values(images, outputs) [N]."""

    def error(images: Array, output: Array) -> float:
        output = np.broadcast_to(output, images.shape)
        starts = range(0, len(images), CHUNK)
        parts = [values(images[i : i + CHUNK], output[i : i + CHUNK]) for i in starts]
        return 1 - float(np.concatenate(parts).mean())

    return error


def _correlations(images: Array, output: Array) -> Array:
    centred = [x - x.mean(axis=(1, 2, 3), keepdims=True) for x in (images, output)]
    variances = [(x**2).mean(axis=(1, 2, 3)) + errors.SMALLEST_VARIANCE for x in centred]
    return (centred[0] * centred[1]).mean(axis=(1, 2, 3)) / np.sqrt(variances[0] * variances[1])


def _similarities(images: Array, output: Array) -> Array:
    errors.check_sides("ssim", *images.shape[1:3])
    mean_x, mean_y = _local_means(images), _local_means(output)
    variance_x = _local_means(images**2) - mean_x**2
    variance_y = _local_means(output**2) - mean_y**2
    covariance = _local_means(images * output) - mean_x * mean_y
    c1, c2 = errors.SSIM_CONSTANTS
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return (above / below).mean(axis=(1, 2, 3))


def _local_means(images: Array) -> Array:
    for axis in (1, 2):
        windows = np.lib.stride_tricks.sliding_window_view(images, errors.WINDOW, axis)
        images = windows @ errors.window()
    return images


# By the names and definitions of `evoae.fitness`, in NumPy: images [N, H, W, C], and outputs of the
# same shape or one for all -> error.
ERRORS: dict[str, Callable[[Array, Array], float]] = {
    "mae": lambda images, output: float(np.abs(images - output).mean()),
    "mse": lambda images, output: float(((images - output) ** 2).mean()),
    "rmse": lambda images, output: float(np.sqrt(((images - output) ** 2).mean())),
    "bce": _binary_cross_entropy,
    "logit_huber": _logit_huber,
    "correlation": _of_images(_correlations),
    "ssim": _of_images(_similarities),
}


def baselines(
    images: npt.ArrayLike,
    *,
    error: str,
    low: float = 0.0,
    high: float = 1.0,
    fitted_to: npt.ArrayLike | None = None,
) -> dict[str, float]:
    """Return the error of three constant reconstructions: all black, the mean, the median image.

    Args:
        images: [N, H, W, C], C = 1 or 3, values in `low`..`high`.
        error: as `evoae.fitness.Reconstruction` defines it, of all images.
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
    >>> {name: round(value, 3) for name, value in baselines(pixels, error="mae").items()}
    {'black image': 0.3, 'mean image': 0.4, 'median image': 0.3}
    """
    check_choice("error", error, ERRORS)
    check_range(low, high)
    if errors.ERRORS[error].in_unit_interval and (low < 0 or high > 1):
        raise ValueError(f"low, high: got {low}, {high}; allowed: 0..1, as error is {error!r}")
    data = _within("images", images, low, high)
    fitted = data if fitted_to is None else _within("fitted_to", fitted_to, low, high)
    if fitted.shape[1:] != data.shape[1:]:
        raise ValueError(f"fitted_to: got shape {fitted.shape}; allowed: images as in {data.shape}")
    constants = {
        "black image": np.full(data.shape[1:], low),
        "mean image": fitted.mean(axis=0),
        "median image": np.median(fitted, axis=0),
    }
    return {name: ERRORS[error](data, constant) for name, constant in constants.items()}


def _within(name: str, images: npt.ArrayLike, low: float, high: float) -> Array:
    data = check_images(name, images).astype(np.float64)
    if data.min() < low - 1e-5 or data.max() > high + 1e-5:  # the rounding of float32
        raise ValueError(
            f"{name}: got {data.min():g}..{data.max():g}; allowed: low..high, {low:g}..{high:g}"
        )
    return data


def diversity(reconstructions: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Return how much the reconstructions differ from each other, by how much the targets do.

    The mean absolute difference over all pairs of reconstructions, divided by that over all pairs
    of targets: 0 when all outputs are one image, near 1 for faithful ones. Below 0.05 an
    autoencoder has collapsed: it draws an average and ignores its input.

    Args:
        reconstructions: [N, H, W, C], C = 1 or 3.
        targets: the same shape.

    Returns:
        The ratio, from 0; NaN where it means nothing, as the targets are one image only.

    Raises:
        ValueError: shapes that do not match, no images, NaN or infinite values.

    >>> targets = np.arange(3.0).reshape(3, 1, 1, 1)
    >>> diversity(targets / 4, targets)
    0.25
    """
    targets, reconstructions = check_pair(targets, reconstructions)
    spread = _summed_differences(targets)
    return _summed_differences(reconstructions) / spread if spread > 0 else float("nan")


def _summed_differences(images: npt.NDArray[np.floating]) -> float:
    # Sorted, the k-th of n values is the larger in k pairs and the smaller in n - 1 - k.
    number = len(images)
    weights = 2 * np.arange(number) - (number - 1)
    ordered = np.sort(images.reshape(number, -1).astype(np.float64), axis=0)
    return float(weights @ (ordered - ordered[0]).sum(axis=1))  # exactly 0 for equal images
