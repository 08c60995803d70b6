"""What a fitness makes of a batch, once for all candidates."""

from typing import NamedTuple

import jax
import numpy as np

from evoae.data import Dataset, minibatch
from evoae.types import Batch, FitnessFn


class PreparedBatch(NamedTuple):
    """A batch in the form that all candidates share."""

    inputs: jax.Array  # what `Autoencoder.prepare` makes of the images
    # What the model is given, with any corruption, as [channels, height, width, N]
    images: jax.Array
    # What outputs are compared with: the clean images so, or their logits for an error of
    # logits
    targets: jax.Array
    # Standard normal, [latent size, N]; None where the latent is not sampled
    latent_noise: jax.Array | None = None


class CorruptedBatch(NamedTuple):
    """A batch of corrupted inputs for a model that is no `evoae.Autoencoder`; both [N, H, W, C]."""

    inputs: jax.Array  # what the model is given
    targets: jax.Array  # the clean images


def check_batch(fitness: FitnessFn, batch: Batch) -> None:
    """Raises a `ValueError` unless a batch is arrays that the fitness accepts."""
    if isinstance(batch, Dataset):
        raise ValueError("batch must be arrays, got a Dataset; pass its images")
    for leaf in jax.tree.leaves(batch):
        if not isinstance(leaf, jax.Array | np.ndarray | np.number | int | float):
            raise ValueError(f"batch must be arrays of NumPy or JAX, got a {type(leaf).__name__}")
    if hasattr(fitness, "check"):
        fitness.check(batch)


def is_noisy(fitness: FitnessFn) -> bool:
    """Whether a fitness has noise to draw."""
    return getattr(fitness, "is_noisy", False)


def prepared(fitness: FitnessFn, batch: Batch, key: jax.Array | None = None) -> Batch:
    """The batch in the form that all candidates share, if the fitness has one.

    The key is for the noise of a fitness that has any.
    """
    if not hasattr(fitness, "prepare"):
        return batch
    return fitness.prepare(batch, key) if is_noisy(fitness) else fitness.prepare(batch)


def drawn(key: jax.Array, fitness: FitnessFn, batch: Batch, batch_size: int | None) -> Batch:
    """What one generation, or one step, is evaluated on: its minibatch, with its noise, prepared.

    A part of the key is for the noise only where there is any, so other runs keep their bits.
    """
    for_noise = None
    if is_noisy(fitness):
        key, for_noise = jax.random.split(key)
    return prepared(fitness, minibatch(key, batch, batch_size), for_noise)
