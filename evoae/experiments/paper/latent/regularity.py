"""How regular a latent space of two values is: figures of any pair of an encoder and a decoder."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.experiments.paper.harness.packages import load_package

Array = npt.NDArray[Any]

NEIGHBOURS = 5  # of a point or an image
CENTRAL = 0.95  # what share of the encoded images a side of the square holds
SIDE = 20  # points of the grid along a side of the square
STEPS = 20  # of an interpolation
STRICT = 95  # percentile of the distances of unseen images, for what is digit-like
ALIKE = 1e-4  # the distance below which a path or its mean step is none


class Coder(NamedTuple):
    """An encoder and a decoder."""

    encode: Callable[[Array], Array]  # images [N, H, W, C], uint8 -> latents [N, 2]
    decode: Callable[[Array], Array]  # latents [N, 2] -> images [N, H, W, C] in 0..1


def measure_accuracy(known: Array, labels: Array, asked: Array, true_labels: Array) -> float:
    """How often five nearest known points [N, D] give asked ones [M, D], by majority, their label.

    >>> points = np.arange(10.0)[:, None]
    >>> measure_accuracy(points, np.arange(10) // 5, np.array([[1.0], [9.0]]), [0, 0])
    0.5
    """
    classifier = load_package("sklearn.neighbors").KNeighborsClassifier(NEIGHBOURS)
    return float(classifier.fit(known, labels).score(asked, true_labels))


def measure_trustworthiness(images: Array, latents: Array) -> float:
    """Whether neighbours in the latent are neighbours as images, 0 to 1: scikit-learn's.

    1 - 2 / (N k (2N - 3k - 1)) times a sum over all points and their k = 5 nearest in the latents
    [N, 2]: each adds its rank among the neighbours of the image, less k, if that is above 0.

    Source: Venna and Kaski (2001), "Neighborhood preservation in nonlinear projection methods".
    """
    found = load_package("sklearn.manifold").trustworthiness(
        flatten(images), latents, n_neighbors=NEIGHBOURS
    )
    return float(found)


class Judge:
    """Tells what is digit-like, from training images and from unseen ones.

    Args:
      train: float images [N, H, W, C] in 0..1.
      labels: their digits, [N].
      unseen: other images of digits, [M, H, W, C].

    Attributes:
      threshold: the 95th percentile of the distances of unseen images to their nearest training
        image, Euclidean over pixels.
    """

    def __init__(self, train: Array, labels: Array, unseen: Array) -> None:
        neighbours = load_package("sklearn.neighbors").NearestNeighbors
        self._index = neighbours(n_neighbors=NEIGHBOURS, algorithm="brute").fit(flatten(train))
        self._labels = labels
        self.threshold = float(np.percentile(self._neighbours(unseen)[0][:, 0], STRICT))

    def _neighbours(self, images: Array) -> tuple[Array, Array]:
        """Distances and digits of the five nearest training images, the nearest first; [N, 5]."""
        distances, rows = self._index.kneighbors(flatten(images))
        return distances, self._labels[rows]

    def recognize(self, images: Array) -> Array:
        """The digit that each image is like, or -1; int [N].

        It is like a digit if its five nearest training images all are that digit, and the nearest
        is within the threshold.
        """
        distances, digits = self._neighbours(images)
        alike = (digits == digits[:, :1]).all(axis=1) & (distances[:, 0] <= self.threshold)
        return np.where(alike, digits[:, 0], -1)


def enclose(latents: Array) -> Array:
    """The box with the central 95 % of the latents along each axis: (low, high) x 2, [2, 2].

    >>> enclose(np.linspace([0.0, 0.0], [1.0, 10.0], 1001)).astype(float).round(3).tolist()
    [[0.025, 0.25], [0.975, 9.75]]
    """
    rest = 50 * (1 - CENTRAL)
    low, high = np.percentile(latents, (rest, 100 - rest), axis=0).astype(np.float32)
    width = np.maximum(high - low, 1e-6 * (1 + np.abs(low)))  # also where all latents are one
    return np.stack([low, low + width])


def place_grid(box: Array) -> Array:
    """The centres of 20 x 20 equal cells of a box, from its top left, row by row; float32 [400, 2].

    >>> place_grid(np.array([[0, 0], [20, 20]]))[[0, 1, -1]].tolist()
    [[0.5, 19.5], [1.5, 19.5], [19.5, 0.5]]
    """
    centres = (np.arange(SIDE) + 0.5) / SIDE
    (left, bottom), (right, top) = box
    x, y = np.meshgrid(left + (right - left) * centres, top - (top - bottom) * centres)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def interpolate(starts: Array, ends: Array) -> Array:
    """Points at 0, 1/20, ... 1 of the way from starts to ends, both [P, ...]; [P, 21, ...].

    >>> interpolate(np.array([[0.0]]), np.array([[20.0]]))[0, :3, 0].round(3).tolist()
    [0.0, 1.0, 2.0]
    """
    way = np.linspace(0, 1, STEPS + 1, dtype=np.float32).reshape(-1, *[1] * (starts.ndim - 1))
    return starts[:, None] * (1 - way) + ends[:, None] * way


def measure_detour(images: Array) -> Array:
    """The length of a path through images, [P, T, ...], over the straight distance of its ends.

    1 for a straight path, larger for others; NaN where the ends are alike. [P]
    """
    steps = _step_lengths(images)
    straight = _lengths(images[:, -1] - images[:, 0])
    return _ratio(steps.sum(axis=1), straight)


def measure_largest_step(images: Array) -> Array:
    """The longest step of a path through images, [P, T, ...], over the mean one.

    1 for even steps, T - 1 for a single jump; NaN where nothing changes. [P]
    """
    steps = _step_lengths(images)
    return _ratio(steps.max(axis=1), steps.mean(axis=1))


def find_median(values: Array) -> float:
    """Of those that are numbers; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def flatten(images: Array) -> Array:
    """Images [N, ...] as rows of pixels, float32; uint8 ones scaled to 0..1."""
    rows = images.reshape(len(images), -1)
    return rows.astype(np.float32) / np.float32(255 if images.dtype == np.uint8 else 1)


def _step_lengths(images: Array) -> Array:
    number, length = images.shape[:2]
    moves = np.diff(images.reshape(number, length, -1).astype(np.float64), axis=1)
    return np.linalg.norm(moves, axis=2)


def _lengths(images: Array) -> Array:
    return np.linalg.norm(images.reshape(len(images), -1).astype(np.float64), axis=1)


def _ratio(some: Array, others: Array) -> Array:
    enough = others > ALIKE
    return np.where(enough, some / np.where(enough, others, 1), np.nan)
