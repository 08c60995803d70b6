"""Evolution on minibatches of many images, kept in parts: what a benchmark and a page share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from evoae import data
from evoae.checks import check_choice, check_whole
from evoae.engine.generations import evolve
from evoae.experiments.paper.harness.steps import run_steps
from evoae.fitness import Reconstruction
from evoae.models import MODELS
from evoae.models.compiled import random_networks
from evoae.runs import checkpoint_files as checkpoint
from evoae.runs.loop import Observer, Progress
from evoae.runs.run_images import Images
from evoae.strategies import ProbeEvolutionStrategy, Stacked, SuccessiveHalving
from evoae.types import Params

NUM_PARTS = 20
BATCH_SIZE = 64


class Course(NamedTuple):
    """How far the evolution of a network is.

    Attributes:
      params: its weights so far.
      generations: behind it.
      errors: squared, summed over the pixels of a validation image; one for each part so far.
      seconds: of computing.
    """

    params: Params
    generations: int
    errors: list[float]
    seconds: float


def name_run(model: str, generations: int, seed: int) -> str:
    """The folder of a run.

    >>> name_run("varadi2021", 43_000, 0)
    'varadi2021-43000-0'
    """
    return f"{model}-{generations // NUM_PARTS * NUM_PARTS}-{seed}"


def evolve_parts(
    model: str,
    train: Images,
    validation: Images,
    out: Path,
    *,
    generations: int,
    seed: int,
    num_starts: int = 3,
    show: Callable[[Course], None] = lambda _: None,
) -> Course:
    """Evolves a network by cross entropy on minibatches of 64 images.

    A race between starts with two of twenty parts each; after each part the state is saved in the
    folder `name_run` within `out`, and the same call goes on from there. The same arguments give
    the same bits, on any number of devices of a CPU and however often it was stopped.

    Args:
      model: a name of `evoae.models.MODELS`, for images as below.
      train: uint8 [N, H, W, C], N from 64.
      validation: uint8 [M, H, W, C], on which the course is followed; nothing is chosen by it.
      out: where the folder of the run is.
      generations: from 20; of a remainder by 20 nothing is made.
      seed: of weights and search.
      num_starts: of the race, from 2.
      show: is given the course after each part.

    Raises:
      ValueError: wrong arguments, or a folder with a run on other images.
      CheckpointError: a folder with a run of another kind, or a damaged one.
      OSError: what cannot be read or written.
    """
    check_choice("model", model, MODELS)
    check_whole("generations", generations, NUM_PARTS)
    check_whole("seed", seed, 0)
    network = MODELS[model]()
    error = Reconstruction(network, error="bce")
    squared = jax.jit(Reconstruction(network, error="mse"))
    each = generations // NUM_PARTS
    strategy = SuccessiveHalving(
        ProbeEvolutionStrategy(256, learning_rate=0.03, encoder_rate=0.3, elitist=False),
        num_starts=num_starts,
        generations_each=2 * each,
    ).fitted_to(NUM_PARTS * each)

    for_weights, for_state, for_run = jax.random.split(jax.random.key(seed), 3)
    one = data.scale(train[:1], 0.0, 1.0)
    networks = random_networks(for_weights, network, one, num_starts)
    state = strategy.init(for_state, Stacked(networks))

    def validate(state: Any) -> float:
        return float(validation[0].size) * float(squared(state.best, validation))

    folder = out / name_run(model, generations, seed)
    errors: list[float] = []
    seconds = 0.0
    if any(folder.glob("[0-9]*")):
        kept, _ = checkpoint.newest(folder)
        state = checkpoint.restore(kept, state)
        errors, seconds = kept.record["course"], kept.record["seconds"]
        if not np.isclose(validate(state), errors[-1], rtol=1e-3):
            raise ValueError(
                f"the run in {str(folder)!r} must be one on the same images, it is not"
            )

    batches = jax.device_put(train)

    def evolve_part(state: Any) -> Any:
        state, _ = evolve(
            *(for_run, strategy, error, batches, state), num_generations=each, batch_size=BATCH_SIZE
        )
        errors.append(validate(state))
        return state

    keeper = _Keeper(folder, errors, each, show)
    behind: Any = {"steps": len(errors), "seconds": seconds}
    return keeper.course(run_steps(evolve_part, state, NUM_PARTS, [keeper], **behind))


class _Keeper(Observer):
    """Saves the state after each part, and shows the course."""

    def __init__(
        self, folder: Path, errors: list[float], each: int, show: Callable[[Course], None]
    ) -> None:
        self._folder, self._errors, self._each, self._show = folder, errors, each, show

    def block(self, progress: Progress) -> None:
        record = {"course": self._errors, "seconds": progress.pace.seconds}
        checkpoint.save(self._folder, len(self._errors), progress.state, record)
        self._show(self.course(progress))

    def course(self, progress: Progress) -> Course:
        """How far it is."""
        generations = progress.pace.steps * self._each
        return Course(progress.state.best, generations, self._errors, progress.pace.seconds)
