"""An evolution strategy that probes single weights and recombines what the probes found."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Decay, Positive, Several
from evoae.mutations.sparse import Sparse, SparsePerturbation
from evoae.strategies import populations as shared
from evoae.strategies.base import Strategy
from evoae.strategies.probes import children_of, fall
from evoae.types import Hyper, Info, Params, Population

LAST_RATE, LAST_LENGTH = 0.02, 0.05  # what is left of learning rate and probe length at the end


class ProbeState(NamedTuple):
    """What the next generation needs; D is the number of weights."""

    generation: jax.Array  # generations told so far, int32
    centre: Params  # the network around which the next candidates are made
    slope: jax.Array  # running mean of each weight's slope, float32 [D]
    square: jax.Array  # running mean of its square, float32 [D]
    probes: jax.Array  # generations in which each weight was probed, float32 [D]
    best: Params  # the best candidate so far, or the centre last scored where `elitist` is off
    best_fitness: jax.Array  # its error, float32
    hyper: Hyper  # the floats of the strategy


@dataclasses.dataclass(frozen=True)
class ProbeEvolutionStrategy(Strategy):
    """Every child changes one weight of the centre, which then moves by what all children tell.

    A child at distance +-h on weight i has the error f(c + h e_i); its difference to the centre's,
    divided by h, estimates the slope of that weight. Only the probed weights then take a step, by
    Adam's rule on the estimated slopes (Kingma and Ba 2015, algorithm 1), with moments and bias
    corrections of their own. This is an evolution strategy that recombines all children, along
    single axes instead of in a Gaussian cloud. No child is selected; the best is only remembered.

    Learning rate and probe length fall as a cosine from generation 0 to `horizon`.

    Attributes:
      population_size: the centre and P - 1 probes a generation.
      learning_rate: length of a first step of a weight, above 0.
      probe_length: h, above 0, in units of the weights.
      momentum: decay of the running slope, from 0 to below 1.
      square_decay: decay of the running squared slope, from 0 to below 1.
      horizon: generations over which rate and length fall, above 0.
      elitist: remember the best candidate of all generations; turn it off when the data change from
        generation to generation: a lucky score on one batch would stay for ever.
      encoder_rate: the factor of `learning_rate` for weights under a node named "encoder", above 0.
        Adam's rule takes a full step along the smallest slope, and those of an encoder mean nothing
        before the decoder has learnt something. At full rate it wanders until its units are dead or
        saturated, and several images share one latent for good.

    >>> strategy = ProbeEvolutionStrategy(population_size=4, learning_rate=0.1, horizon=100.0)
    >>> state = strategy.init(jax.random.key(0), {"weights": jnp.ones(3)})
    >>> for generation in range(100):
    ...     population, state = strategy.ask(jax.random.key(generation), state)
    ...     errors = (population.dense(strategy)["weights"] ** 2).sum(1)
    ...     state, info = strategy.tell(jax.random.key(generation), population, errors, state)
    >>> bool(state.best_fitness < 0.1)
    True
    """

    population_size: Several = 256
    learning_rate: Positive = 0.01
    probe_length: Positive = 0.02
    momentum: Decay = 0.9
    square_decay: Decay = 0.99
    horizon: Positive = 30_000.0
    elitist: bool = True
    encoder_rate: Positive = 1.0

    def fitted_to(self, num_generations: int) -> "ProbeEvolutionStrategy":
        """The same with its horizon at the end of that many generations."""
        return dataclasses.replace(self, horizon=float(num_generations))

    def init(self, key: jax.Array, params: Params, hyper: Hyper | None = None) -> ProbeState:
        """The first state, around one network."""
        centre = shared.only_parent(params, "ProbeEvolutionStrategy", "centre")
        zeros = jnp.zeros(trees.size(centre), jnp.float32)
        return ProbeState(
            generation=jnp.int32(0),
            centre=centre,
            slope=zeros,
            square=zeros,
            probes=zeros,
            best=centre,
            best_fitness=jnp.float32(jnp.inf),
            hyper=shared.merge_hyper(trees.hyperparameters(self), hyper),
        )

    def ask(self, key: jax.Array, state: ProbeState) -> tuple[Population, ProbeState]:
        """The centre, and P - 1 probes of random weights in random directions."""
        for_position, for_sign = jax.random.split(key)
        size = trees.size(state.centre)
        length = state.hyper["probe_length"] * jnp.maximum(
            fall(state.generation, state.hyper["horizon"]), LAST_LENGTH
        )

        def probe(index: jax.Array) -> SparsePerturbation:
            position = jax.random.randint(
                jax.random.fold_in(for_position, index), (1,), 0, size, jnp.int32
            )
            sign = jax.random.rademacher(jax.random.fold_in(for_sign, index), (1,), jnp.float32)
            return SparsePerturbation(position, jnp.where(index == 0, 0.0, sign * length))

        perturbation = jax.vmap(probe)(jnp.arange(self.population_size, dtype=jnp.int32))
        return children_of(state.centre, perturbation), state

    def express(self, population: Population, index: jax.Array) -> Params:
        centre = trees.take(population.parents, trees.take(population.parent_ids, index)[0])
        return Sparse().apply(centre, trees.take(population.perturbation, index))

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        return Sparse().single_changes(population)

    def tell(
        self, key: jax.Array, population: Population, fitness: jax.Array, state: ProbeState
    ) -> tuple[ProbeState, Info]:
        """Moves the probed weights of the centre."""
        ranked, info = shared.ranked_fitness(fitness, self.population_size)
        positions, lengths = (leaf[1:, 0] for leaf in population.perturbation)
        slopes = (ranked[1:] - ranked[0]) / lengths
        valid = jnp.isfinite(slopes)
        total = jnp.zeros_like(state.slope).at[positions].add(jnp.where(valid, slopes, 0.0))
        counts = jnp.zeros_like(state.slope).at[positions].add(valid.astype(jnp.float32))
        probed, mean = counts > 0, total / jnp.maximum(counts, 1.0)

        momentum, square_decay = state.hyper["momentum"], state.hyper["square_decay"]
        times = state.probes + probed.astype(jnp.float32)
        slope = jnp.where(probed, momentum * state.slope + (1 - momentum) * mean, state.slope)
        square = square_decay * state.square + (1 - square_decay) * jnp.square(mean)
        square = jnp.where(probed, square, state.square)
        steps = jnp.maximum(times, 1.0)
        unbiased = slope / (1 - momentum**steps)
        root = jnp.sqrt(square / (1 - square_decay**steps)) + 1e-8
        centre = trees.take(population.parents, 0)
        rate = state.hyper["learning_rate"] * jnp.maximum(
            fall(state.generation, state.hyper["horizon"]), LAST_RATE
        )
        of_encoder = trees.under("encoder", centre)
        rate = rate * jnp.where(of_encoder, state.hyper["encoder_rate"], 1.0)
        vector = trees.ravel(centre)
        moved = vector - jnp.where(probed, rate * unbiased / root, 0.0).astype(vector.dtype)

        if self.elitist:
            index = jnp.argmin(ranked)
            best, best_fitness = shared.better_of(
                self.express(population, index), ranked[index], state.best, state.best_fitness
            )
        else:
            best, best_fitness = centre, ranked[0]
        after = ProbeState(
            generation=state.generation + 1,
            centre=trees.unravel(moved, centre),
            slope=slope,
            square=square,
            probes=times,
            best=best,
            best_fitness=best_fitness,
            hyper=state.hyper,
        )
        return after, info

    def _left(self, state: ProbeState) -> jax.Array:
        return fall(state.generation, state.hyper["horizon"])
