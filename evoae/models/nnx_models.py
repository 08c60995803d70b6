"""Networks of Flax NNX: `nnx.Param` is searched, and all else is held as it was."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
from flax import nnx

from evoae.models.at_rest import at_rest
from evoae.models.fixed_collections import HeldArrays
from evoae.types import Params


class _State(NamedTuple):
    """What is static of a state of NNX: how its arrays are laid out."""

    structure: Any  # of the tree
    paths: tuple[tuple[str, ...], ...]  # of the arrays, in its order
    key_kinds: tuple[str | None, ...]  # the implementation of each that is a random key

    @classmethod
    def of(cls, state: Any) -> "_State":
        leaves, structure = jax.tree_util.tree_flatten_with_path(state)
        paths, kinds = [], []
        for path, leaf in leaves:
            inside = path[:-1] if isinstance(path[-1], jax.tree_util.GetAttrKey) else path
            paths.append(tuple(jax.tree_util.keystr((node,), simple=True) for node in inside))
            kinds.append(str(jax.random.key_impl(leaf)) if _is_key(leaf) else None)
        return cls(structure, tuple(paths), tuple(kinds))

    def named(self, state: Any) -> dict[str, Any]:
        """The arrays of a state as nested dictionaries, with random keys as numbers."""
        leaves = [jax.random.key_data(x) if _is_key(x) else x for x in jax.tree.leaves(state)]
        return flax.traverse_util.unflatten_dict(dict(zip(self.paths, leaves, strict=True)))

    def filled(self, named: Mapping[str, Any]) -> Any:
        """The state of such dictionaries."""
        flat = flax.traverse_util.flatten_dict(named)
        leaves = [
            flat[path] if kind is None else jax.random.wrap_key_data(flat[path], impl=kind)
            for path, kind in zip(self.paths, self.key_kinds, strict=True)
        ]
        return jax.tree.unflatten(self.structure, leaves)


class _Graph(NamedTuple):
    """What is static of a module of NNX."""

    kind: type
    definition: Any
    params: _State
    held: _State


def _taken_apart(module: Any) -> tuple[_Graph, dict[str, Any]]:
    """What is static of a module that is not trained, and its arrays: "params" and "held"."""
    if not isinstance(module, nnx.Module):
        raise ValueError(f"model must be made as a module of Flax NNX, got {module!r}")
    module.eval()
    graph, *states = nnx.split(module, nnx.Param, ...)
    params, held = (_State.of(state) for state in states)
    arrays = {"params": params.named(states[0]), "held": held.named(states[1])}
    return _Graph(type(module), graph, params, held), arrays


class OfNnx:
    """What networks of Flax NNX have in common: `nnx.Param` is searched, all else is held."""

    graph: _Graph

    def module(self, params: Params, collections: Mapping[str, Any] | None = None) -> Any:
        """The NNX module with these params, and with what else it had when it was made."""
        held = self.graph.held.filled((collections or {}).get("held", {}))
        return nnx.merge(self.graph.definition, self.graph.params.filled(params), held)

    def apply(
        self, variables: Mapping[str, Any], inputs: jax.Array, *, method: str | None = None
    ) -> jax.Array:
        module = self.module(variables["params"], variables)
        called = getattr(module, method or "__call__")
        return called(inputs, **at_rest(called))


@dataclasses.dataclass(frozen=True)
class NnxModule(OfNnx):
    """A module of Flax NNX with the weights that it has, from which a search begins.

    Attributes:
      graph: what is static of it.
      arrays: "params" and "held", by their paths.

    >>> model = NnxModule.of(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    >>> model.init(jax.random.key(1), jnp.zeros((1, 2)))["params"]["kernel"].shape
    (2, 3)
    """

    graph: _Graph = dataclasses.field(repr=False)
    arrays: HeldArrays

    @classmethod
    def of(cls, module: nnx.Module) -> "NnxModule":
        """Holds a copy of a module; later changes of the module do not matter."""
        graph, arrays = _taken_apart(nnx.clone(module))
        return cls(graph, HeldArrays.of(arrays))

    def init(self, key: jax.Array, images: jax.Array) -> Mapping[str, Any]:
        return _without_nothing(jax.tree.map(jnp.asarray, self.arrays.tree))


@dataclasses.dataclass(frozen=True)
class NnxConstructor(OfNnx):
    """A module of Flax NNX that is made with random weights by the seed of a run.

    Attributes:
      make: takes `rngs`, and gives the module.
      settings: what else it is given, by name.
    """

    make: Callable[..., Any]
    settings: tuple[tuple[str, Any], ...] = ()

    def init(self, key: jax.Array, images: jax.Array) -> Mapping[str, Any]:
        return _without_nothing(_taken_apart(self._made(key))[1])

    def _made(self, key: jax.Array) -> Any:
        return self.make(rngs=nnx.Rngs(key), **dict(self.settings))

    @property
    def graph(self) -> _Graph:  # type: ignore[override]
        return _graph_of(self)


@functools.cache
def _graph_of(model: NnxConstructor) -> _Graph:
    found: list[_Graph] = []
    jax.eval_shape(lambda key: found.append(_taken_apart(model._made(key))[0]), jax.random.key(0))
    return found[0]


def _without_nothing(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: its for name, its in variables.items() if its or name == "params"}


def _is_key(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))
