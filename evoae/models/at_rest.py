"""Modules that behave differently in training are told that they are not trained."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax

# What modules call it when they are not trained.
_AT_REST = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
}


def at_rest(function: Callable[..., Any]) -> dict[str, bool]:
    """The arguments on training that a call takes, set for inference."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    return {name: value for name, value in _AT_REST.items() if name in parameters}


@dataclasses.dataclass(frozen=True)
class AtRest:
    """A Linen module that is told in each call that it is not trained.

    Attributes:
      module: whose methods take `train`, `deterministic` or the like.
    """

    module: nn.Module

    def init(self, key: jax.Array, images: jax.Array) -> Mapping[str, Any]:
        settings: dict[str, Any] = at_rest(self.module.__call__)
        return self.module.init(key, images, **settings)

    def apply(
        self, variables: Mapping[str, Any], inputs: jax.Array, *, method: str | None = None
    ) -> Any:
        settings: dict[str, Any] = at_rest(getattr(self.module, method or "__call__"))
        return self.module.apply(variables, inputs, method=method, **settings)
