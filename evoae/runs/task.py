"""What settings describe, ready to begin: images, model, fitness and the first state."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae import data
from evoae.encodings import Decoder, Direct, Encoding, decoded
from evoae.engine import evolve
from evoae.engine.devices import check_platform, replicated
from evoae.engine.generations import working_mesh
from evoae.engine.memory import Memory, check_memory, memory_estimate
from evoae.fitness import Reconstruction
from evoae.fitness.reconstruction_errors import check_sides
from evoae.models import Autoencoder, Model, as_model, variational
from evoae.models.compiled import applied, random_networks
from evoae.models.fixed_collections import HeldArrays
from evoae.models.own import check_model
from evoae.runs.clock import BLOCK_SIZE, Clock, Pace
from evoae.runs.config import ModelConfig, RunConfig
from evoae.runs.loop import Advance
from evoae.runs.run_images import Images, load_dataset, part_images, to_floats
from evoae.runs.weight_files import load_weights, structured_as
from evoae.strategies import Stacked, Strategy, SuccessiveHalving
from evoae.types import FitnessFn, Genotype, Info, Params

NUM_SHOWN = 10  # images in the pictures


class Task(NamedTuple):
    """A run that may begin."""

    config: RunConfig  # the settings
    images: Images  # uint8 [N, H, W, C]; they stay so on the device, a quarter of floats
    labels: Images | None  # [N], or None where the source has none
    validation: Images  # [M, H, W, C], images that are kept out of training; M may be 0
    model: Model  # the autoencoder
    reconstruction: Reconstruction  # the error of what it makes of images, of weights
    fitness: FitnessFn  # what the search makes smaller, of weights: the same, or the user's own
    # The same of a genotype; `fitness` itself with the direct encoding
    fitness_of_genotype: FitnessFn
    decoder: Decoder  # genes -> weights
    key: jax.Array  # the randomness of the search
    state: Any  # the first one of the strategy
    population_size: int  # candidates a generation
    notes: tuple[str, ...]  # what the images' source was taken for, a line each

    @property
    def encoded(self) -> bool:
        """Whether the search sees genes that are not the weights."""
        return not isinstance(self.config.encoding, Direct)

    def pixels(self, number: int | None = None) -> npt.NDArray[np.floating]:
        """The first images as floats, or all of them: [N, H, W, C] in data.low..data.high."""
        return to_floats(self.images[:number], self.config.data.low, self.config.data.high)

    def apply(
        self, params: Params, inputs: npt.ArrayLike, method: str | None = None
    ) -> npt.NDArray[np.floating]:
        """What a network makes of images, or one of its methods of its inputs."""
        collections: Any = self.reconstruction.collections
        return np.asarray(applied(self.model, params, inputs, method, collections), np.float32)

    def network(self, genotype: Genotype) -> Params:
        """The weights that genes decode to."""
        return _decoded(self.decoder, genotype) if self.encoded else genotype


@functools.partial(jax.jit, static_argnums=0)
def _decoded(decoder: Decoder, genotype: Genotype) -> Params:
    return decoder(genotype)


def prepare(
    config: RunConfig, dataset: data.Dataset | None = None, *, progress: bool = False
) -> Task:
    """Loads the images, unless they are given, and makes the first state.

    Args:
      config: the settings.
      dataset: the images, where they are given.
      progress: show a bar while many images are read.

    Raises:
      ValueError: settings and images that do not fit together, or into memory.
      OSError: what cannot be read.

    >>> from evoae.runs.config import PRESETS
    >>> task = prepare(PRESETS["paper-ten"])
    >>> task.images.shape, task.population_size
    ((10, 28, 28, 1), 20)
    """
    check_platform()
    dataset = dataset or load_dataset(config.data, config.out, progress=progress)
    images, labels, validation = part_images(config, dataset)
    if config.batch_size is not None and config.batch_size > len(images):
        raise ValueError(
            f"batch_size must be at most {len(images)}, the number of images to learn; "
            f"got {config.batch_size}"
        )
    check_sides(config.error, *images.shape[1:3])
    if isinstance(config.model, ModelConfig):
        chosen = config.model.suited_to(images.shape[1:], len(images))
        config = dataclasses.replace(config, model=chosen)
    if config.weights is not None and isinstance(config.strategy, SuccessiveHalving):
        config = dataclasses.replace(config, strategy=_without_race(config))
    model = model_of(config, images.shape[1:])
    image = to_floats(images[:1], config.data.low, config.data.high)
    check_model(model, jax.random.key(config.seed), image)
    begin = functools.partial(first_state, config, model, images)
    key, state = jax.eval_shape(begin)  # nothing is computed before it is known to fit
    like = jax.eval_shape(model.init, key, image)
    reconstruction = Reconstruction(
        model,
        config.error,
        low=config.data.low,
        high=config.data.high,
        corruption=config.corruption,
        kl_weight=config.kl_weight,
        collections=collections_of(model, config.seed, image),
    )
    like, fitness = like["params"], config.fitness or reconstruction
    population = jax.eval_shape(config.strategy.ask, key, state)[0]
    task = Task(
        config=config,
        images=images,
        labels=labels,
        validation=validation,
        model=model,
        reconstruction=reconstruction,
        fitness=fitness,
        fitness_of_genotype=decoded(fitness, config.encoding, like),
        decoder=Decoder.of(config.encoding, like),
        key=key,
        state=state,
        population_size=population.parent_ids.shape[0],
        notes=dataset.notes,
    )
    check_memory(memory_of(task))
    key, state = begin()
    return task._replace(key=key, state=state)


def _without_race(config: RunConfig) -> Strategy:
    """The strategy of one start: all starts of a race would begin with the same weights."""
    strategy, number = cast(SuccessiveHalving, config.strategy).strategy, config.num_generations
    return strategy if number is None else strategy.fitted_to(number)


def model_of(config: RunConfig, image_shape: Sequence[int]) -> Model:
    """The autoencoder for images of (height, width, channels)."""
    model: Model = config.model
    model = model.build(image_shape) if isinstance(model, ModelConfig) else as_model(model)
    if config.kl_weight is None:
        return model
    if not isinstance(model, Autoencoder):
        raise ValueError(
            f"kl_weight must be None for a {type(model).__name__}: only an evoae.Autoencoder has a "
            f"latent that can be made Gaussian; got {config.kl_weight}"
        )
    return variational(model)


def collections_of(model: Model, seed: int, image: npt.NDArray[np.floating]) -> HeldArrays | None:
    """The initial collections of a model beside its params; None if there are none."""
    key = jax.random.key(seed)
    if set(jax.eval_shape(model.init, key, image)) == {"params"}:
        return None
    variables = dict(model.init(key, image))
    del variables["params"]
    return HeldArrays.of(variables)


class Keys(NamedTuple):
    """The randomness of a run, a key for each use."""

    weights: jax.Array
    search: jax.Array
    genotype: jax.Array
    strategy: jax.Array


def keys_of(seed: int) -> Keys:
    """The keys of a run, from its seed."""
    return Keys(*jax.random.split(jax.random.key(seed), 4))


def first_state(config: RunConfig, model: Model, images: Images) -> tuple[jax.Array, Any]:
    """The key of the search, and the first state of the strategy."""
    keys = keys_of(config.seed)
    number = config.strategy.num_networks
    if config.independent_population:
        number = config.strategy.population_size
    image = to_floats(images[:1], config.data.low, config.data.high)
    several = number if number > 1 else None
    networks: Any = random_networks(keys.weights, model, image, several)
    if config.weights is not None:
        networks = _given_networks(config.weights, networks, several)
    genotype = _first_genotype(keys.genotype, networks, config.encoding, several)
    first = Stacked(genotype) if several else genotype
    return keys.search, jax.jit(config.strategy.init)(keys.strategy, first)


def _given_networks(file: Path, like: Params, number: int | None) -> Params:
    """The weights of a file in the structure of a network; stacked, if several are asked for."""
    one = like if number is None else jax.tree.map(lambda leaf: leaf[0], like)
    weights = structured_as(one, load_weights(file), "weights")
    repeat = lambda leaf: jnp.asarray(leaf if number is None else np.stack([leaf] * number))  # noqa: E731
    return jax.tree.map(repeat, weights)


@functools.partial(jax.jit, static_argnames=("encoding", "number"))
def _first_genotype(
    key: jax.Array, networks: Params, encoding: Encoding, number: int | None
) -> Genotype:
    """The genes for one network, or for several of them, stacked."""
    if number is None:
        return encoding.init(key, networks)
    return jax.vmap(encoding.init)(jax.random.split(key, number), networks)


def memory_of(task: Task) -> Memory:
    """What a generation needs of a device's memory at least."""
    config = task.config
    return memory_estimate(
        *(config.strategy, task.fitness_of_genotype, task.images, task.state),
        batch_size=config.batch_size,
        chunk_size=config.chunk_size,
        num_devices=config.num_devices,
    )


def make_advance(task: Task) -> Advance:
    """What does the generations of a task, for `evoae.runs.loop.run_loop`."""
    config = task.config
    mesh = working_mesh(
        *(config.strategy, task.fitness_of_genotype, task.images, task.state),
        batch_size=config.batch_size,
        chunk_size=config.chunk_size,
        num_devices=config.num_devices,
    )
    batch = replicated(jax.device_put(task.images), mesh)

    def advance(state: Any, count: int, _: Pace) -> tuple[Any, Info]:
        return evolve(
            *(task.key, config.strategy, task.fitness_of_genotype, batch, state),
            num_generations=count,
            batch_size=config.batch_size,
            chunk_size=config.chunk_size,
            block_size=BLOCK_SIZE,
            num_devices=config.num_devices,
        )

    return advance


def clock_of(config: RunConfig) -> Clock:
    """When a run with these settings ends."""
    return Clock(config.num_generations, config.minutes)
