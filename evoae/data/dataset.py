"""What a data set is, and how its pixels are scaled."""

from typing import NamedTuple, TypeVar

import jax
import numpy as np

from evoae.checks import check_range

ArrayT = TypeVar("ArrayT", np.ndarray, jax.Array)


class Dataset(NamedTuple):
    """Images with their labels and the name of their source.

    Attributes:
      images: [N, H, W, C] with C = 1 or 3, float32 in low..high or uint8 in 0..255.
      labels: int32 [N], or None where the source has none.
      name: the name that was asked for, or the name of the file or folder.
      notes: what was left out, and what the source was taken for, a line each.
      files: the path of each image within its folder or zip; empty where images have no files.
    """

    images: np.ndarray
    labels: np.ndarray | None
    name: str
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def scale(images: ArrayT, low: float, high: float) -> ArrayT:
    """Scales pixels from 0..255 to low..high: low + (high - low) x / 255.

    The same formula serves NumPy arrays and, inside jit too, jax arrays, so that a large data set
    may stay uint8 on the device and be scaled batch by batch.

    Args:
      images: uint8 in 0..255, of any shape.
      low: the value of black.
      high: the value of white, above low.

    Returns:
      float32 in low..high, of the same shape.

    Raises:
      ValueError: images are not uint8, or low is not below high.

    Example:
      >>> scale(np.array([0, 255], np.uint8), 0.25, 0.75)
      array([0.25, 0.75], dtype=float32)
    """
    check_range(low, high)
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 in 0..255 to be scaled, got {images.dtype}")
    # A Python float takes the array's dtype; a NumPy double would turn the images into doubles.
    low, high = float(low), float(high)
    return low + (high - low) * (images.astype(np.float32) / 255)
