"""What a variational autoencoder is judged by besides its images."""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from evoae.fitness import Reconstruction
from evoae.models.networks import applied
from evoae.runs.task import Images, Task, error_on
from evoae.types import Params


class Evidence(NamedTuple):
    """The evidence lower bound of an image in its two parts, mean over images, negative.

    Attributes:
      reconstruction: the error summed over pixels, of one sample of each latent; in nats for "bce".
      divergence: Kullback-Leibler, of the latent from N(0, 1), in nats.
    """

    reconstruction: float
    divergence: float


def evidence(fitness: Reconstruction, params: Params, images: Images) -> Evidence:
    """The bound of a network on uint8 images [N, H, W, C], by the noise of one fixed key.

    >>> import jax, evoae
    >>> model = evoae.models.variational(evoae.models.mlp(2, hidden=(8,), image_shape=(6, 6, 1)))
    >>> fitness = evoae.fitness.Reconstruction(model, "bce", kl_weight=1.0)
    >>> images = np.zeros((3, 6, 6, 1), np.uint8)
    >>> params = model.init(jax.random.key(0), images / np.float32(1))["params"]
    >>> params = jax.tree.map(np.zeros_like, params)
    >>> found = evidence(fitness, params, images)  # 36 pixels of log 2 nats
    >>> round(found.reconstruction, 2), found.divergence
    (24.95, 0.0)
    """
    num_pixels = images[0].size
    without, whole = (
        num_pixels * error_on(dataclasses.replace(fitness, kl_weight=weight), params, images)
        for weight in (0.0, 1.0)
    )
    return Evidence(without, whole - without)


def prior_samples(task: Task, params: Params, number: int) -> npt.NDArray[np.float32]:
    """What the decoder makes of latents from N(0, 1), by one fixed key: [number, H, W, C]."""
    shape = (number, task.model.latent_size(task.images.shape[1:]))
    latent = jax.random.normal(jax.random.key(0), shape)
    return np.asarray(applied(task.model, params, latent, method="decode"))
