"""What a configuration describes, ready to begin: images, model, fitness and the first state."""

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae import data
from evoae.encodings import Decoder, Direct, decoded
from evoae.engine.devices import replicated
from evoae.engine.evolution import InvalidFitnessError, evolve, working_mesh
from evoae.engine.hosts import seconds_of_first
from evoae.engine.memory import Memory, check_memory, memory_estimate
from evoae.fitness import Reconstruction
from evoae.fitness.batches import prepared
from evoae.fitness.errors import check_sides
from evoae.models import Autoencoder, variational
from evoae.models.networks import random_networks
from evoae.report.baselines import ERRORS as NUMPY_ERRORS
from evoae.runs.clock import BEGINNING, BLOCK_SIZE, Pace, in_blocks
from evoae.runs.config import DataConfig, RunConfig
from evoae.runs.progress import Status
from evoae.strategies import Stacked
from evoae.strategies.shared import num_networks
from evoae.types import Encoding, FitnessFn, Genes, Info, Params

NUM_SHOWN = 10  # images in the pictures
CHUNK_SIZE = 1_000  # images at work at a time when an error is computed on all of them

Images = npt.NDArray[Any]


class Task(NamedTuple):
    """A run that may begin.

    Attributes:
      config: the settings.
      images: uint8 [N, H, W, C]; they stay so on the device, a quarter of floats.
      labels: [N], or None where the source has none.
      model: the autoencoder.
      fitness: its error, of weights.
      fitness_of_genes: what the search makes smaller; `fitness` itself with the direct encoding.
      decoder: genes -> weights.
      key: the randomness of the search.
      state: the first one of the strategy.
      population_size: candidates a generation.
    """

    config: RunConfig
    images: Images
    labels: Images | None
    model: Autoencoder
    fitness: Reconstruction
    fitness_of_genes: FitnessFn
    decoder: Decoder
    key: jax.Array
    state: Any
    population_size: int

    @property
    def encoded(self) -> bool:
        """Whether the search sees genes that are not the weights."""
        return not isinstance(self.config.encoding, Direct)

    def network(self, genes: Genes) -> Params:
        """The weights that genes decode to."""
        return _decoded(self.decoder, genes) if self.encoded else genes


@functools.partial(jax.jit, static_argnums=0)
def _decoded(decoder: Decoder, genes: Genes) -> Params:
    return decoder(genes)


def prepare(config: RunConfig) -> Task:
    """Loads the images and makes the first state.

    Raises:
      ValueError: settings and images that do not fit together, or into memory.
      OSError: what cannot be read.

    >>> from evoae.runs.config import PRESETS
    >>> task = prepare(PRESETS["paper-ten"])
    >>> task.images.shape, task.population_size
    ((10, 28, 28, 1), 20)
    """
    dataset = _dataset(config.data)
    images = dataset.images
    if config.batch_size is not None and config.batch_size > len(images):
        raise ValueError(
            f"batch_size must be at most {len(images)}, the number of images; "
            f"got {config.batch_size}"
        )
    check_sides(config.error, *images.shape[1:3])
    model = config.model.build(images.shape[1:])
    if config.kl_weight is not None:
        model = variational(model)
    begin = functools.partial(first_state, config, model, images)
    key, state = jax.eval_shape(begin)  # nothing is computed before it is known to fit
    image = data.scale(images[:1], config.data.low, config.data.high)
    like = jax.eval_shape(model.init, key, image)["params"]
    fitness = Reconstruction(
        model,
        config.error,
        low=config.data.low,
        high=config.data.high,
        corruption=config.noise,
        kl_weight=config.kl_weight,
    )
    population = jax.eval_shape(config.strategy.ask, key, state)[0]
    task = Task(
        config=config,
        images=images,
        labels=dataset.labels,
        model=model,
        fitness=fitness,
        fitness_of_genes=decoded(fitness, config.encoding, like),
        decoder=Decoder.of(config.encoding, like),
        key=key,
        state=state,
        population_size=population.parent.shape[0],
    )
    check_memory(memory_of(task))
    key, state = begin()
    return task._replace(key=key, state=state)


def first_state(config: RunConfig, model: Autoencoder, images: Images) -> tuple[jax.Array, Any]:
    """The key of the search, and the first state of the strategy."""
    for_weights, key = jax.random.split(jax.random.key(config.seed))
    number = num_networks(config.strategy)
    if config.independent_population:
        number = config.strategy.population_size  # type: ignore[attr-defined]
    image = data.scale(images[:1], config.data.low, config.data.high)
    networks: Any = random_networks(for_weights, model, image, number if number > 1 else None)
    # The first two of three keys are the two above.
    for_genes = jax.random.split(jax.random.key(config.seed), 3)[2]
    genes = _first_genes(for_genes, networks, config.encoding, number if number > 1 else None)
    return key, config.strategy.init(for_weights, Stacked(genes) if number > 1 else genes)


@functools.partial(jax.jit, static_argnames=("encoding", "number"))
def _first_genes(key: jax.Array, networks: Params, encoding: Encoding, number: int | None) -> Genes:
    """The genes for one network, or for several of them, stacked."""
    if number is None:
        return encoding.init(key, networks)
    return jax.vmap(encoding.init)(jax.random.split(key, number), networks)


def _dataset(config: DataConfig) -> data.Dataset:
    dataset = data.load(
        config.source, split=config.split, dtype="uint8", num_samples=config.num_samples
    )
    if config.digit is None:
        return dataset
    labels = [] if dataset.labels is None else dataset.labels.tolist()
    if config.digit not in labels:
        known = ", ".join(map(str, sorted(set(labels)))) or "none"
        raise ValueError(
            f"data.digit must be a label of {dataset.name} ({known}), got {config.digit}"
        )
    chosen = np.array([labels.index(config.digit)])
    return dataset._replace(
        images=dataset.images[chosen], labels=np.array([config.digit], np.int32)
    )


def memory_of(task: Task) -> Memory:
    """What a generation needs of a device's memory at least."""
    config = task.config
    return memory_estimate(
        *(config.strategy, task.fitness_of_genes, task.images, task.state),
        batch_size=config.batch_size,
        chunk_size=config.chunk_size,
        num_devices=config.num_devices,
    )


def evolution(task: Task, start: Pace = BEGINNING) -> Iterator[tuple[Any, Info, Pace]]:
    """Evolves until the configuration's end; yields state, trace and pace block after block.

    `start` is where the task's state stands, if it is not the first one.

    Raises:
      InvalidFitnessError: a generation without a finite error, after its block was yielded.
    """
    config, state = task.config, task.state
    mesh = working_mesh(
        *(config.strategy, task.fitness_of_genes, task.images, state),
        batch_size=config.batch_size,
        chunk_size=config.chunk_size,
        num_devices=config.num_devices,
    )
    batch = replicated(jax.device_put(task.images), mesh)
    failure: InvalidFitnessError | None = None

    def work(count: int, _: Pace) -> Info:
        nonlocal state, failure
        try:
            state, trace = evolve(
                task.key,
                config.strategy,
                task.fitness_of_genes,
                batch,
                state,
                num_generations=count,
                batch_size=config.batch_size,
                chunk_size=config.chunk_size,
                block_size=BLOCK_SIZE,
                num_devices=config.num_devices,
            )
        except InvalidFitnessError as error:
            state, trace, failure = error.state, error.trace, error
        return trace

    for trace, pace in in_blocks(
        work,
        num_steps=config.num_generations,
        minutes=config.minutes,
        start=start,
        agreed=seconds_of_first,
    ):
        yield state, trace, pace
        if failure:
            raise failure


def evolution_status(trace: Info, pace: Pace, first: int = 0) -> Status:
    """What the progress bar shows after a block, in a run that began after generation `first`."""
    # The first two blocks compile, which tells nothing of what comes.
    return Status(
        done=pace.done,
        steps=pace.steps,
        best=float(trace.best_fitness[-1]),
        mean=float(trace.mean_fitness[-1]),
        speed=pace.speed if pace.steps > first + 5 else math.nan,
        seconds_left=pace.seconds_left,
    )


@functools.partial(jax.jit, static_argnums=0)
def _error(fitness: Reconstruction, params: Params, images: Images, part: int) -> jax.Array:
    return fitness(params, prepared(fitness, images, _noise_key(part)))


def _noise_key(part: int | jax.Array) -> jax.Array:
    """Of the noise with which networks are judged and shown: the same for all of them."""
    return jax.random.fold_in(jax.random.key(0), part)


def error_on(fitness: Reconstruction, params: Params, images: Images) -> float:
    """The error of one network on any number of images; with noise, where the fitness has any."""
    parts = _parts(images)
    errors = [float(_error(fitness, params, part, i)) for i, part in enumerate(parts)]
    return _mean_error(fitness, errors, parts)


def error_of_inputs(fitness: Reconstruction, images: Images) -> float:
    """The error of the noisy images themselves, in which `error_on` gives them to a network."""
    parts, error = _parts(images), NUMPY_ERRORS[fitness.error]
    clean = [np.asarray(data.scale(part, fitness.low, fitness.high), np.float64) for part in parts]
    noisy = [fitness.corrupted(_noise_key(i), jnp.asarray(part)) for i, part in enumerate(parts)]
    errors = [error(a, np.asarray(b, np.float64)) for a, b in zip(clean, noisy, strict=True)]
    return _mean_error(fitness, errors, parts)


def shown_inputs(task: Task, images: Images) -> npt.NDArray[np.floating]:
    """Images of the pictures, floats [N, H, W, C], as the network is given them."""
    return np.asarray(task.fitness.corrupted(_noise_key(0), jnp.asarray(images)))


def _parts(images: Images) -> list[Images]:
    return [images[start : start + CHUNK_SIZE] for start in range(0, len(images), CHUNK_SIZE)]


def _mean_error(fitness: Reconstruction, of_parts: list[float], parts: list[Images]) -> float:
    errors = np.array(of_parts)
    power = 2 if fitness.error == "rmse" else 1
    mean = np.average(errors**power, weights=[len(part) for part in parts])
    return float(mean ** (1 / power))
