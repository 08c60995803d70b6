"""Checks that all of the pictures share."""

import numpy as np
import numpy.typing as npt


def check_images(name: str, images: npt.ArrayLike) -> npt.NDArray[np.floating]:
    """Return `images` as a finite float array [N, H, W, C], C = 1 or 3, or say what is wrong.

    >>> check_images("targets", np.zeros((2, 4, 4, 1))).shape
    (2, 4, 4, 1)

    Raises:
        ValueError: another shape, nothing in it, no real numbers, NaN or infinite values.
    """
    array = np.asarray(images)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name}: got dtype {array.dtype}; allowed: real numbers")
    if array.ndim != 4 or array.size == 0 or array.shape[-1] not in (1, 3):
        allowed = "[N, H, W, C], none of them 0, C = 1 or 3"
        raise ValueError(f"{name}: got shape {array.shape}; allowed: {allowed}")
    broken = int((~np.isfinite(array).all(axis=(1, 2, 3))).sum())
    if broken:
        raise ValueError(
            f"{name}: {broken} of {len(array)} images hold NaN or infinity; allowed: finite values"
        )
    return array.astype(np.float32) if array.dtype.kind != "f" else array


def check_pair(
    targets: npt.ArrayLike, reconstructions: npt.ArrayLike, name: str = "reconstructions"
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Return both as checked images of one shape.

    Raises:
        ValueError: as `check_images`, or the shapes differ.
    """
    first, second = check_images("targets", targets), check_images(name, reconstructions)
    if first.shape != second.shape:
        raise ValueError(
            f"{name}: got shape {second.shape}; allowed: that of targets {first.shape}"
        )
    return first, second
