"""What all strategies do alike: checks, the first parents, the treatment of invalid fitness."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.strategies.base import check_flags
from evoae.types import Hyper, Info, Params


class Stacked(NamedTuple):
    """A whole first population for `init`: networks side by side.

    Attributes:
      params: their weights; leaves [P, ...].

    >>> import evoae
    >>> networks = evoae.Stacked({"weights": jnp.zeros((20, 5))})
    >>> strategy = evoae.strategies.GeneticAlgorithm(population_size=20)
    >>> state = strategy.init(jax.random.key(0), networks)
    """

    params: Params


def first_parents(
    params: Params | Stacked, num_parents: int, population_size: int
) -> tuple[Params, int]:
    """Stacked parents and their number: copies of one network, or a whole population as it is."""
    check_flags()
    whole = isinstance(params, Stacked)
    networks = params.params if whole else params
    leaves = jax.tree.leaves(networks)
    if not leaves:
        raise ValueError("params must hold at least one array, got an empty tree")
    for path, leaf in jax.tree_util.tree_leaves_with_path(networks):
        name = jax.tree_util.keystr(path)
        if not hasattr(leaf, "dtype") or not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise ValueError(
                f"params{name} must be an array of floats, got {getattr(leaf, 'dtype', leaf)}"
            )
        if whole and (leaf.ndim == 0 or leaf.shape[0] != population_size):
            raise ValueError(
                f"params{name} must stack population_size={population_size} networks, "
                f"got shape {leaf.shape}"
            )
    if whole:
        return jax.tree.map(jnp.asarray, networks), population_size
    return trees.repeat(networks, num_parents), num_parents


def only_parent(params: Params | Stacked, owner: str, role: str) -> Params:
    """The one network that a strategy begins from, which calls it its `role`."""
    if isinstance(params, Stacked):
        raise ValueError(
            f"params must be one network for {owner}, which has a single {role}; "
            "got a whole population"
        )
    parents, _ = first_parents(params, 1, 1)
    return trees.take(parents, 0)


def merge_hyper(defaults: Hyper, given: Hyper | None, path: str = "hyper") -> Hyper:
    """The defaults with what is given instead; unknown names are a `ValueError`."""
    merged = dict(defaults)
    for name, value in (given or {}).items():
        if name not in defaults:
            raise ValueError(
                f"{path} has no {name!r}; it has {', '.join(sorted(defaults)) or 'nothing'}"
            )
        if isinstance(defaults[name], dict):
            merged[name] = merge_hyper(defaults[name], value, f"{path}[{name!r}]")
        else:
            merged[name] = jnp.asarray(value, jnp.float32)
    return merged


def ranked_fitness(fitness: jax.Array, population_size: int) -> tuple[jax.Array, Info]:
    """Float32 fitness in which NaN and -inf count as +inf, and what to report of it."""
    try:
        fitness = jnp.asarray(fitness)  # a loop of Python leaves a list
    except (TypeError, ValueError) as error:
        raise ValueError(f"fitness must be numbers, got {fitness!r}") from error
    if fitness.shape != (population_size,):
        raise ValueError(
            f"fitness must have shape ({population_size},), one error a candidate, "
            f"got {fitness.shape}"
        )
    fitness = fitness.astype(jnp.float32)
    valid = jnp.isfinite(fitness)
    fitness = jnp.where(valid, fitness, jnp.inf)
    count = valid.sum()
    mean = jnp.where(valid, fitness, 0.0).sum() / jnp.maximum(count, 1).astype(jnp.float32)
    info = Info(
        best_fitness=fitness.min(),
        mean_fitness=jnp.where(count > 0, mean, jnp.inf),
        num_invalid=(population_size - count).astype(jnp.int32),
    )
    return fitness, info


def better_of(
    new: Params, error: jax.Array, old: Params, least: jax.Array
) -> tuple[Params, jax.Array]:
    """The new network where its error is below the least so far, else the old one; its error."""
    best = jax.tree.map(lambda a, b: jnp.where(error < least, a, b), new, old)
    return best, jnp.minimum(error, least)


def best_errors(states: Any) -> jax.Array:
    """The best error of each of several states of one strategy, stacked; float32 [S]."""
    return jax.vmap(lambda state: state.best_fitness)(states)


def best_of(states: Any, index: jax.Array) -> Params:
    """The best network of one of several states of one strategy, stacked."""
    return trees.take(jax.vmap(lambda state: state.best)(states), index)


def grouped(networks: Stacked, num_groups: int) -> Params | Stacked:
    """N networks as the first arguments of `num_groups` inits, stacked along the first axis.

    Leaves [N, ...] become [num_groups, ...] where each group has a single network, and else
    `Stacked` leaves [num_groups, N / num_groups, ...].
    """
    counts = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(networks)}
    if len(counts) != 1 or (count := next(iter(counts))) == () or count[0] % num_groups:
        shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(networks)]
        raise ValueError(
            f"params must stack a multiple of {num_groups} networks along the first axis of each "
            f"array, got shapes {shapes}"
        )
    each = count[0] // num_groups
    if each == 1:
        return networks.params
    split = lambda leaf: jnp.reshape(leaf, (num_groups, each, *leaf.shape[1:]))  # noqa: E731
    return jax.tree.map(split, networks)
