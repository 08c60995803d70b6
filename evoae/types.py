"""The types that the parts of evoae share."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp

__all__ = [
    "Adaptation",
    "Batch",
    "Corruption",
    "Crossover",
    "Encoding",
    "FitnessFn",
    "Genes",
    "Genotype",
    "Hyper",
    "Info",
    "LoggerName",
    "Mutation",
    "Params",
    "Population",
    "Selection",
    "Strategy",
]

Params = Any
"""A pytree of float arrays: the weights of one network, or of many, stacked."""

Batch = Any
"""Whatever the fitness function reads: usually images [N, height, width, channels]."""

Genotype = Any
"""A pytree of arrays: what describes one candidate, given its parents."""

Genes = Any
"""A pytree of float arrays: what an encoding makes weights of, and a strategy sees."""

Hyper = dict[str, Any]
"""The floats of a strategy and of its operators, as arrays, by field name."""

LoggerName = Literal["tensorboard", "wandb", "trackio"]
"""What a run can report to."""

FitnessFn = Callable[[Params, Batch], jax.Array]
"""(params, batch) -> an error, a scalar: smaller is better."""


class Population(NamedTuple):
    """P candidates: S stored parents whole, and P small descriptions. Never P whole networks.

    Attributes:
      parents: weights of the stored parents; leaves [S, ...]. Candidates 0..S-1 are their copies.
      parent: int32 [P, 2], the two parents of each candidate; equal without crossover.
      genotype: what each candidate is made of, given its parents; leaves [P, ...].
    """

    parents: Params
    parent: jax.Array
    genotype: Genotype

    @property
    def size(self) -> int:
        """P, the number of candidates."""
        return self.parent.shape[0]

    def dense(self, strategy: "Strategy") -> Params:
        """All candidates as whole networks: leaves [P, ...]."""
        return jax.vmap(strategy.express, (None, 0))(self, jnp.arange(self.size))


class Info(NamedTuple):
    """Scalars of one generation; stacked over generations they are the trace of a run.

    Attributes:
      best_fitness: the smallest error among the candidates, float32.
      mean_fitness: the mean error of the candidates whose error is finite, float32.
      num_invalid: candidates whose error is NaN or infinite, int32.
    """

    best_fitness: jax.Array
    mean_fitness: jax.Array
    num_invalid: jax.Array


class Encoding(Protocol):
    """A frozen description of how genes make the weights of a network.

    A strategy sees genes only, in place of the weights; the fitness of genes is that of the network
    which they decode to (`evoae.encodings.decoded`). What has no gene, such as a random matrix,
    follows from the description and from the network's shapes.
    """

    def init(self, key: jax.Array, params: Params) -> Genes:
        """The first genes, from a key and a random network.

        Its arrays give shapes and types, and how large weights should be; an encoding that can
        keeps the network itself.
        """
        ...

    def decode(self, genes: Genes, like: Params) -> Params:
        """The weights, in the structure, shapes and types of `like`, whose values don't matter."""
        ...


class Mutation(Protocol):
    """A frozen description of how a child comes to differ from its parent.

    Self-adaptation can change one of its floats: the one that its class attribute `adapted` names,
    for which `sample` then takes one float for each layer as well. The float stays in what a
    method `adapted_range() -> (smallest, largest)` returns, if there is one.

    One whose children may differ from a single parent in one weight each says so by a method
    `single_changes(population) -> (positions, deltas)`, as a `Strategy` does, or None when they do
    not; the population's genotype is then the mutation's own.
    """

    def sample(self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper) -> Genotype:
        """Describes the mutation of candidate `index`.

        All candidates of a generation are given the same key. What they share is drawn from the key
        alone, what is their own from the key folded with the index; so the draws don't depend on
        how many candidates there are, or on where they are drawn.
        """
        ...

    def apply(self, params: Params, genotype: Genotype) -> Params:
        """The child of one parent."""
        ...


class Crossover(Protocol):
    """A frozen description of how a child is put together from two parents."""

    def sample(self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper) -> Genotype:
        """Describes the crossover of candidate `index`; keys as for `Mutation.sample`."""
        ...

    def apply(self, first: Params, second: Params, genotype: Genotype) -> Params:
        """The child of two parents; equal parents have their equal for a child."""
        ...


class Corruption(Protocol):
    """A frozen description of input corruption: what spoils images, by one float, its level.

    `highest` is the largest level there is.
    """

    highest: ClassVar[float]

    @property
    def level(self) -> float:
        """How much it spoils, from 0 for nothing to `highest`."""
        ...

    def apply(self, key: jax.Array, images: jax.Array, low: float, high: float) -> jax.Array:
        """The spoiled images, floats [N, height, width, channels]; black is low, white high."""
        ...


class Selection(Protocol):
    """A frozen description of which of the elites become parents."""

    def select(self, key: jax.Array, count: int, hyper: Hyper) -> jax.Array:
        """One of `count` elites, which are numbered from the best, 0, to the worst; int32."""
        ...


class Adaptation(Protocol):
    """A frozen description of how a mutation's rate follows from its success.

    The rate is the float hyperparameter that the mutation names, in its units and range. All that
    an adaptation keeps is rates: float32 [N], or [N, L] with one for each of L layers.
    """

    def init(self, start: jax.Array, num_parents: int, num_layers: int) -> jax.Array:
        """The first rates, from the hyperparameter."""
        ...

    def sample(
        self, key: jax.Array, index: jax.Array, parent: jax.Array, rates: jax.Array, hyper: Hyper
    ) -> jax.Array:
        """The rate of candidate `index`, () or [L]; keys as for `Mutation.sample`."""
        ...

    def update(
        self,
        key: jax.Array,
        candidate_rates: jax.Array,
        improvement: jax.Array,
        survivors: jax.Array,
        rates: jax.Array,
        hyper: Hyper,
    ) -> jax.Array:
        """The next rates.

        Args:
          key: for random changes of the rates.
          candidate_rates: what `sample` gave, [P] or [P, L].
          improvement: error of each candidate less that of its better parent, on the same data:
            below 0 for a child that is better; infinite for an invalid one; float32 [P].
          survivors: the candidates that become the elites, best first, int32 [E]. Candidates
            0..E-1 are copies, so that the children are candidates E..P-1.
          rates: those before.
          hyper: the floats of the adaptation.
        """
        ...


class Strategy(Protocol):
    """A frozen description of a search; its arrays live in the state that its methods hand on.

    The state has at least the attributes `generation` (int32), `best` (Params) and `best_fitness`.
    A strategy whose candidates 1..P-1 differ from candidate 0, their single parent, in one weight
    each may have a method `single_changes(population) -> (positions, deltas)`, or None when they do
    not; it is then evaluated faster, see `evoae.evaluate`. One whose state changes shape
    in the first generations says so by a method `settled(state) -> bool`; one that begins with
    several networks (`evoae.Stacked`), how many by `num_networks`. One whose steps fall towards an
    end is fitted to a run by `lasting(num_generations) -> Strategy`. One that takes in networks
    from elsewhere has `immigrate(state, params, fitness) -> state`, see `evoae.strategies.Islands`.
    Candidates of several populations may be joined to one, so `express` reads the parents that
    `population.parent` names.
    """

    def init(self, key: jax.Array, params: Params, hyper: Hyper | None = None) -> Any:
        """The first state, from one network or from a whole population (`evoae.Stacked`)."""
        ...

    def ask(self, key: jax.Array, state: Any) -> tuple[Population, Any]:
        """The next candidates."""
        ...

    def tell(
        self, key: jax.Array, population: Population, fitness: jax.Array, state: Any
    ) -> tuple[Any, Info]:
        """The next state, from the errors [P] of the candidates."""
        ...

    def express(self, population: Population, index: jax.Array) -> Params:
        """One candidate as a whole network."""
        ...
