"""Algorithms of evosax as strategies of evoae, and strategies of evoae in a loop like evosax's.

`Evosax` runs any algorithm of evosax (Lange 2022, arXiv 2212.04180) in `evoae.evolve`. The other
way round nothing is needed: a population is built whole by `dense`, and errors are minimised in
both packages.

>>> import evoae
>>> strategy = evoae.strategies.GeneticAlgorithm(16, mutation=evoae.mutations.Gaussian(0.1))
>>> errors = jax.vmap(lambda params: (params["weights"] ** 2).sum())
>>> key = jax.random.key(0)
>>> state = strategy.init(key, {"weights": jnp.ones(3)})
>>> for _ in range(20):
...     key, for_ask, for_tell = jax.random.split(key, 3)
...     population, state = strategy.ask(for_ask, state)
...     fitness = errors(population.dense(strategy))
...     state, metrics = strategy.tell(for_tell, population, fitness, state)
>>> bool(state.best_fitness < 1.0)
True
"""

import contextlib
import dataclasses
import functools
import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evoae import trees
from evoae.checks import Several, check_choice, check_number
from evoae.strategies import populations as shared
from evoae.strategies.base import Strategy
from evoae.types import Hyper, Info, Params, Population


class EvosaxState(NamedTuple):
    """What the next generation needs."""

    generation: jax.Array  # generations told so far, int32
    search: Any  # evosax's own state
    worst: jax.Array  # the largest finite error so far, float32
    best: Params  # the best candidate so far, or that of the last generation where `elitist` is off
    best_fitness: jax.Array  # its error, float32; infinite before the first generation
    hyper: Hyper  # evosax's parameters


@dataclasses.dataclass(frozen=True)
class Evosax(Strategy):
    """Any algorithm of evosax; needs the extra `evoae[evosax]`.

    A population holds P whole networks. Many algorithms store as much again, or a matrix of D x D
    numbers (CMA_ES, MA_ES, xNES, iAMaLGaM_Full, DiffusionEvolution).

    A population-based algorithm (evosax.algorithms.population_based_algorithms) begins with
    `population_size` networks, which are the candidates of the first generation; the others begin
    around one network. The Stein variational ones begin around `num_populations` networks, an
    argument of theirs, and share the population_size among these.

    evosax is told of a NaN or infinite error as the largest finite one so far, so that no invalid
    candidate spoils the mean of the others. It draws whole populations, so candidates are not drawn
    by their index. Its default parameters are made for small problems: a std_init of 1.0 changes
    every weight of a network by that much.

    Attributes:
      algorithm: its name in evosax.algorithms.algorithms.
      population_size: candidates a generation, P, at least 2; some algorithms ask for more.
      arguments: what its class takes besides, by name, hashable; a mapping, or pairs.
      parameters: numbers to replace those of its `default_params`, by name; a mapping, or pairs.
        They are defaults of `hyper`, which may be changed without compiling again.
      elitist: remember the best candidate of all generations; turn it off when the data change from
        generation to generation: a lucky score on one batch would stay for ever.

    >>> import evoae
    >>> strategy = Evosax("SNES", population_size=16, parameters={"std_init": 0.3})
    >>> state = strategy.init(jax.random.key(0), {"weights": jnp.ones(3)})
    >>> def error(params, batch):
    ...     return (params["weights"] ** 2).sum()
    >>> state, _ = evoae.evolve(jax.random.key(1), strategy, error, None, state, num_generations=50)
    >>> bool(state.best_fitness < 0.01)
    True
    """

    algorithm: str = "CMA_ES"
    population_size: Several = 64
    arguments: tuple[tuple[str, Any], ...] = ()
    parameters: tuple[tuple[str, float], ...] = ()
    elitist: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("Evosax: algorithm", self.algorithm, sorted(_evosax().algorithms))
        for name in ("arguments", "parameters"):
            try:
                pairs = tuple(sorted(dict(getattr(self, name)).items()))
                hash(pairs)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"Evosax: {name} must map names to hashable values, got {getattr(self, name)!r}"
                ) from error
            object.__setattr__(self, name, pairs)
        for name, value in self.parameters:
            check_number(f"Evosax: parameters[{name!r}]", value)
        if self.population_size % self._num_populations:
            raise ValueError(
                f"Evosax: population_size must be a multiple of num_populations = "
                f"{self._num_populations}, got {self.population_size}"
            )

    @property
    def num_networks(self) -> int:
        """Networks for `init`: those of the first population, or one for each centre."""
        return self.population_size if self._population_based else self._num_populations

    @property
    def _population_based(self) -> bool:
        return self.algorithm in _evosax().population_based_algorithms

    @property
    def _num_populations(self) -> int:
        """More than one in a Stein variational algorithm only."""
        return dict(self.arguments).get("num_populations", 1)

    def init(
        self, key: jax.Array, params: Params | shared.Stacked, hyper: Hyper | None = None
    ) -> EvosaxState:
        """The first state, from `num_networks` networks (`evoae.Stacked`), or from one."""
        needed = self.num_networks
        if isinstance(params, shared.Stacked) != (needed > 1):
            wanted = f"evoae.Stacked of {needed} networks" if needed > 1 else "one network"
            got = "one network" if needed > 1 else "evoae.Stacked"
            raise ValueError(f"params must be {wanted} for {self.algorithm}, got {got}")
        networks, _ = shared.first_parents(params, 1, needed)
        first = trees.take(networks, 0)
        algorithm, defaults = self._made_for(first)
        known, given = vars(defaults), {**dict(self.parameters), **(hyper or {})}
        if unknown := sorted(given.keys() - known.keys()):
            raise ValueError(
                f"hyper has no {unknown[0]!r}; {self.algorithm} has "
                f"{', '.join(sorted(known)) or 'nothing'}"
            )
        parameters = _like(defaults.replace(**given), defaults)
        with _lenient():
            if self._population_based:
                # evosax begins with an evaluated population; until then its errors are infinite.
                search = algorithm.init(key, networks, jnp.full(needed, jnp.inf), parameters)
            else:
                search = algorithm.init(key, networks if needed > 1 else first, parameters)
        return EvosaxState(
            generation=jnp.int32(0),
            search=_like(search, search),
            worst=jnp.float32(-jnp.inf),
            best=first,
            best_fitness=jnp.float32(jnp.inf),
            hyper=dict(vars(parameters)),
        )

    def ask(self, key: jax.Array, state: EvosaxState) -> tuple[Population, EvosaxState]:
        """P whole networks; there are no stored parents."""
        algorithm, defaults = self._made_for(state.best)
        parameters = defaults.replace(**state.hyper)

        def asked() -> tuple[Params, Any]:
            candidates, search = algorithm.ask(key, state.search, parameters)
            return _like(candidates, state.best), _like(search, state.search)

        with _lenient():
            if self._population_based:
                candidates, search = lax.cond(
                    state.generation == 0,
                    lambda: (
                        _like(algorithm.get_population(state.search), state.best),
                        state.search,
                    ),
                    asked,
                )
            else:
                candidates, search = asked()
        nobody = jax.tree.map(lambda leaf: leaf[:0], candidates)
        parent = jnp.zeros((self.population_size, 2), jnp.int32)
        return Population(nobody, parent, candidates), state._replace(search=search)

    def express(self, population: Population, index: jax.Array) -> Params:
        return trees.take(population.perturbation, index)

    def tell(
        self, key: jax.Array, population: Population, fitness: jax.Array, state: EvosaxState
    ) -> tuple[EvosaxState, Info]:
        """The next state of evosax; NaN and infinite errors never become the best."""
        ranked, info = shared.ranked_fitness(fitness, self.population_size)
        valid = jnp.isfinite(ranked)
        worst = jnp.maximum(state.worst, jnp.where(valid, ranked, -jnp.inf).max())
        told = jnp.where(valid, ranked, jnp.where(jnp.isfinite(worst), worst, 0.0))
        algorithm, defaults = self._made_for(state.best)
        parameters = defaults.replace(**state.hyper)
        candidates = population.perturbation

        def begun() -> Any:
            return _like(algorithm.init(key, candidates, told, parameters), state.search)

        def stepped() -> Any:
            networks = candidates
            if (count := self._num_populations) > 1:
                split = lambda leaf: leaf.reshape(count, -1, *leaf.shape[1:])  # noqa: E731
                networks = jax.tree.map(split, candidates)
            search, _ = algorithm.tell(key, networks, told, state.search, parameters)
            return _like(search, state.search)

        with _lenient():
            if self._population_based:
                search = lax.cond(state.generation == 0, begun, stepped)
            else:
                search = stepped()

        index = jnp.argmin(ranked)
        limit = state.best_fitness if self.elitist else jnp.float32(jnp.inf)
        found = trees.take(candidates, index)
        best, least = shared.better_of(found, ranked[index], state.best, limit)
        return EvosaxState(state.generation + 1, search, worst, best, least, state.hyper), info

    def _made_for(self, params: Params) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(params)
        shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
        return _algorithm(self, structure, shapes)


def _evosax() -> Any:
    try:
        return importlib.import_module("evosax.algorithms")
    except ModuleNotFoundError as error:
        raise ValueError("Evosax needs the package evosax: pip install 'evoae[evosax]'") from error


@contextlib.contextmanager
def _lenient() -> Iterator[None]:
    """JAX's own rules of promotion, which evosax's code needs, also where stricter ones are set."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@functools.cache
def _algorithm(
    description: Evosax, structure: Any, shapes: tuple[jax.ShapeDtypeStruct, ...]
) -> tuple[Any, Any]:
    """The object of evosax and its default parameters, for networks of this structure.

    evosax compiles its methods for each object anew, equal or not. So there is one object for all
    equal descriptions, made here, and outside of any transformation that is under way.
    """
    with jax.ensure_compile_time_eval(), _lenient():
        solution = jax.tree.unflatten(structure, [jnp.zeros(s.shape, s.dtype) for s in shapes])
        size = description.population_size // description._num_populations
        try:
            algorithm = _evosax().algorithms[description.algorithm](
                population_size=size, solution=solution, **dict(description.arguments)
            )
        except (AssertionError, TypeError) as error:
            raise ValueError(
                f"Evosax: {description.algorithm} cannot be made with population_size={size} and "
                f"arguments={dict(description.arguments)}: {error}"
            ) from error
        defaults = algorithm.default_params
        return algorithm, _like(defaults, defaults)


def _like(new: Any, old: Any) -> Any:
    """With the types of `old` and none of them weak: a loop's state must begin as it goes on."""
    return jax.tree.map(lambda leaf, like: jnp.asarray(leaf, jnp.result_type(like)), new, old)
