"""The error of a network on any number of images, and the baselines that it must beat."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae.fitness import Reconstruction, compute_baselines, compute_error
from evoae.fitness.batches import prepared
from evoae.fitness.reconstruction_errors import ErrorName
from evoae.models import Autoencoder
from evoae.runs.run_images import Images, to_floats
from evoae.runs.task import NUM_SHOWN, Task
from evoae.types import FitnessFn, Genotype, Params

CHUNK_SIZE = 1_000  # images at work at a time
DENOISING = "denoising.csv"
LEVELS = (0.0, 0.5, 1.0, 1.5, 2.0)  # of corruption, in parts of the level that was trained for


@functools.partial(jax.jit, static_argnums=0)
def _error(fitness: FitnessFn, params: Params, images: Images, part: int) -> jax.Array:
    return fitness(params, prepared(fitness, images, _judging_key(part)))


def _judging_key(part: int | jax.Array) -> jax.Array:
    """The key of the corruption with which all networks are judged and shown."""
    return jax.random.fold_in(jax.random.key(0), part)


def measure_error(fitness: FitnessFn, params: Params, images: Images) -> float:
    """The error of one network on any number of images; corrupted, where the fitness says so.

    A fitness of the user's own may not be a mean over images, so it gets all of them at once.
    """
    if not isinstance(fitness, Reconstruction):
        return float(_error(fitness, params, images, 0))
    parts = _parts(images)
    errors = [float(_error(fitness, params, part, i)) for i, part in enumerate(parts)]
    return _mean_error(fitness, errors, parts)


def measure_validation(task: Task, params: Params) -> float | None:
    """The error of one network on the images that are kept out; None where there are none."""
    return measure_error(task.fitness, params, task.validation) if len(task.validation) else None


def measure_input_error(fitness: Reconstruction, images: Images) -> float:
    """The error of corrupted images themselves, as `measure_error` gives them to a network."""
    parts = _parts(images)
    clean = [to_floats(part, fitness.low, fitness.high) for part in parts]
    noisy = [fitness.corrupted(_judging_key(i), jnp.asarray(part)) for i, part in enumerate(parts)]
    errors = [
        compute_error(a, np.asarray(b), error=fitness.error)
        for a, b in zip(clean, noisy, strict=True)
    ]
    return _mean_error(fitness, errors, parts)


class Snapshot(NamedTuple):
    """What the best of a state is."""

    genotype: Genotype  # as the search sees it
    network: Params  # the weights that they decode to
    # What the network makes of the images of the pictures, [N, H, W, C]
    outputs: npt.NDArray[np.floating]


class Snapshots:
    """Snapshots of the states of a task; that of the same state is taken once.

    Attributes:
      shown: the images of the pictures.
    """

    def __init__(self, task: Task) -> None:
        self._task, self.shown = task, shown_of(task)
        self._newest: tuple[Any, Snapshot] | None = None

    def of(self, state: Any) -> Snapshot:
        """The snapshot of a state."""
        if self._newest is None or self._newest[0] is not state:
            network = self._task.network(state.best)
            outputs = self._task.apply(network, self.shown.inputs)
            self._newest = state, Snapshot(state.best, network, outputs)
        return self._newest[1]


class Shown(NamedTuple):
    """The images of the pictures, floats [N, H, W, C]."""

    targets: npt.NDArray[np.floating]  # the first images, as they are
    inputs: npt.NDArray[np.floating]  # as the network is given them


def shown_of(task: Task) -> Shown:
    """What the pictures of a run show."""
    targets = task.pixels(NUM_SHOWN)
    return Shown(
        targets, np.asarray(task.reconstruction.corrupted(_judging_key(0), jnp.asarray(targets)))
    )


def _parts(images: Images) -> list[Images]:
    return [images[start : start + CHUNK_SIZE] for start in range(0, len(images), CHUNK_SIZE)]


def _mean_error(fitness: Reconstruction, of_parts: list[float], parts: list[Images]) -> float:
    errors = np.array(of_parts)
    power = 2 if fitness.error == "rmse" else 1
    mean = np.average(errors**power, weights=[len(part) for part in parts])
    return float(mean ** (1 / power))


class Evidence(NamedTuple):
    """The evidence lower bound of an image in its two parts, mean over images, negative."""

    # The error summed over pixels, of one sample of each latent; in nats for "bce"
    reconstruction: float
    divergence: float  # Kullback-Leibler, of the latent from N(0, 1), in nats


def measure_evidence(fitness: Reconstruction, params: Params, images: Images) -> Evidence:
    """The bound of a network on uint8 images [N, H, W, C], by the noise of one fixed key.

    >>> import jax, evoae
    >>> model = evoae.models.variational(evoae.models.mlp(2, hidden=(8,), image_shape=(6, 6, 1)))
    >>> fitness = evoae.fitness.Reconstruction(model, "bce", kl_weight=1.0)
    >>> images = np.zeros((3, 6, 6, 1), np.uint8)
    >>> pixels = images / np.float32(1)
    >>> params = model.init(jax.random.key(0), pixels)["params"]
    >>> params = jax.tree.map(np.zeros_like, params)
    >>> found = measure_evidence(fitness, params, images)  # 36 pixels of log 2 nats
    >>> round(found.reconstruction, 2), found.divergence
    (24.95, 0.0)
    """
    num_pixels = images[0].size
    without, whole = (
        num_pixels * measure_error(dataclasses.replace(fitness, kl_weight=weight), params, images)
        for weight in (0.0, 1.0)
    )
    return Evidence(without, whole - without)


def draw_prior_samples(task: Task, params: Params, number: int) -> npt.NDArray[np.float32]:
    """What the decoder makes of latents from N(0, 1), by one fixed key: [number, H, W, C]."""
    shape = (number, cast(Autoencoder, task.model).latent_size(task.images.shape[1:]))
    latent = jax.random.normal(jax.random.key(0), shape, jnp.float32)
    return task.apply(params, latent, "decode")


def measure_by_level(
    fitness: Reconstruction, networks: Mapping[str, Params], images: Images
) -> dict[str, list[float]]:
    """The errors of networks, and of corrupted images themselves, at several levels.

    Args:
      fitness: with the corruption that was trained for.
      networks: weights by name.
      images: uint8 [N, H, W, C].

    Returns:
      Columns: "level" (0, a half, one, one and a half and twice the trained one, where these
        exist), the error of each network by its name, and that of "no network".

    >>> import jax, evoae
    >>> model = evoae.models.mlp(2, hidden=(8,), image_shape=(6, 6, 1))
    >>> corruption = evoae.fitness.MaskingNoise(0.8)
    >>> fitness = evoae.fitness.Reconstruction(model, corruption=corruption)
    >>> images = jax.numpy.zeros((3, 6, 6, 1), "uint8")
    >>> params = model.init(jax.random.key(0), jax.numpy.zeros((3, 6, 6, 1)))["params"]
    >>> measure_by_level(fitness, {"evolved": params}, images)["level"]
    [0.0, 0.4, 0.8, 1.0]
    """
    columns: dict[str, list[float]] = {"level": []}
    trained = fitness.corruption
    for part in LEVELS:
        level = round(min(part * trained.level, trained.highest), 12)  # type: ignore[union-attr]
        if level in columns["level"]:
            continue
        columns["level"].append(level)
        corruption = dataclasses.replace(trained, level=level)  # type: ignore[type-var]
        at_level = dataclasses.replace(fitness, corruption=corruption)
        for name, params in networks.items():
            columns.setdefault(name, []).append(measure_error(at_level, params, images))
        columns.setdefault("no network", []).append(measure_input_error(at_level, images))
    return columns


def measure_baselines(task: Task, error: ErrorName) -> dict[str, float]:
    """The errors of constant images, and of corrupted images themselves where there are any."""
    low, high = task.config.data.low, task.config.data.high
    found = compute_baselines(task.pixels(), error=error, low=low, high=high)
    if len(task.images) == 1:  # which is its own mean and median
        found = {"black image": found["black image"]}
    if task.config.corruption is not None:
        fitness = dataclasses.replace(task.reconstruction, error=error)
        found["noisy image"] = measure_input_error(fitness, task.images)
    return found


def measure_absolute_error(task: Task, params: Params) -> tuple[float, dict[str, float]] | None:
    """The mean absolute error of a network, and its baselines, which is easier to picture.

    None where it is the error that was learnt from.
    """
    config = task.config
    if config.error == "mae" and config.kl_weight is None and config.fitness is None:
        return None
    fitness = dataclasses.replace(task.reconstruction, error="mae", kl_weight=None)
    return measure_error(fitness, params, task.images), measure_baselines(task, "mae")
