"""What a linear autoencoder with as small a latent reaches: principal component analysis."""

import numpy as np
import numpy.typing as npt

from evoae.checks import check_choice, check_whole
from evoae.report.baselines import ERRORS, Array
from evoae.report.checks import check_images


def pca_error(
    images: npt.ArrayLike,
    num_components: int,
    *,
    error: str,
    fitted_to: npt.ArrayLike | None = None,
) -> float:
    """Return the error of images reconstructed from their first principal components.

    x' = m + V V^T (x - m), m the mean and V the eigenvectors with the largest eigenvalues of the
    covariance of the pixels. No other linear reconstruction has a smaller squared error on the
    images that it is fitted to. The result is not clipped to the range of the pixels.

    Args:
        images: [N, H, W, C], C = 1 or 3.
        num_components: from 1; with as many as pixels the error is 0.
        error: as for `baselines`.
        fitted_to: the images that m and V are taken of, [M, H, W, C]; None takes `images`.

    Raises:
        ValueError: wrong images, an unknown error, a wrong number.

    Source: Hotelling (1933), "Analysis of a complex of statistical variables into principal
    components".

    >>> images = np.arange(12.0).reshape(3, 2, 2, 1) ** 2  # on a curve, and so not on a line
    >>> pca_error(images, 1, error="mae") > 0.1, round(pca_error(images, 2, error="mae"), 6)
    (True, 0.0)
    """
    check_choice("error", error, ERRORS)
    check_whole("num_components", num_components, 1)
    shape, data = np.shape(images), _flat("images", images)
    fitted = data if fitted_to is None else _flat("fitted_to", fitted_to)
    if fitted.shape[1] != data.shape[1]:
        raise ValueError(
            f"fitted_to: got {fitted.shape[1]} values an image; allowed: {data.shape[1]}"
        )
    mean = fitted.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(fitted, rowvar=False, bias=True))  # the largest come last
    components = vectors[:, -num_components:]
    output = mean + (data - mean) @ components @ components.T
    return ERRORS[error](data.reshape(shape), output.reshape(shape))


def _flat(name: str, images: npt.ArrayLike) -> Array:
    array = check_images(name, images)
    return array.reshape(len(array), -1).astype(np.float64)
