"""Networks that are not made of evoae's layers, in the one form that a run takes.

Whatever it was, it has `init(key, images)`, which gives {"params": ..., other collections}, and
`apply(variables, inputs, method=...)`, as a Flax Linen module has. Only params are searched: all
else is held as it was, and what is random in training, such as dropout, is off.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from evoae.files import in_short
from evoae.models.at_rest import AtRest, at_rest
from evoae.models.autoencoder import Autoencoder
from evoae.models.nnx_models import NnxConstructor, NnxModule, OfNnx
from evoae.types import Params

Model = Any
"""A network: a Flax Linen module, or what has its `init` and `apply` as the classes here have."""


@dataclasses.dataclass(frozen=True)
class FunctionPair:
    """A network that is two functions.

    Attributes:
      init_params: (key, images) -> params, any pytree of float arrays.
      apply_params: (params, images) -> images of the same shape.

    >>> images = jnp.ones((1, 2, 2, 1))
    >>> pair = FunctionPair(lambda key, images: jnp.zeros((1, 1, 1, 1)), jnp.add)
    >>> pair.apply(pair.init(jax.random.key(0), images), images).shape
    (1, 2, 2, 1)
    """

    init_params: Callable[[jax.Array, jax.Array], Params]
    apply_params: Callable[[Params, jax.Array], jax.Array]

    def init(self, key: jax.Array, images: jax.Array) -> Mapping[str, Any]:
        return {"params": self.init_params(key, images)}

    def apply(
        self, variables: Mapping[str, Any], inputs: jax.Array, *, method: str | None = None
    ) -> jax.Array:
        return self.apply_params(variables["params"], inputs)


def as_model(value: Any, **settings: Any) -> Any:
    """A network in the form of `Model`.

    Args:
      value: a Flax Linen module; a module of Flax NNX; a pair of functions (init, apply), as
        `FunctionPair` has them; or a function or class that makes one of these. Where that takes
        `rngs`, it is an `NnxConstructor`.
      **settings: what such a function is called with, if it takes it.

    Raises:
      ValueError: anything else, or a function that needs more.
    """
    if isinstance(value, nn.Module):
        return AtRest(value) if at_rest(value.__call__) else value
    if isinstance(value, AtRest | FunctionPair | OfNnx):
        return value
    if isinstance(value, nnx.Module):
        return NnxModule.of(value)
    if isinstance(value, tuple | list) and len(value) == 2 and all(map(callable, value)):
        return FunctionPair(*value)
    if not callable(value):
        raise ValueError(
            "model must be a module of Flax (Linen or NNX), a pair of functions (init, apply), or "
            f"a function that makes one of them; got {value!r}"
        )
    return _made(value, settings)


def _made(make: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """What a function or a class makes, with the settings that it takes."""
    name = getattr(make, "__qualname__", repr(make))
    # What makes a class callable hides what its instances take.
    called: Any = make.__init__ if isinstance(make, type) else make  # type: ignore[misc]
    parameters = dict(inspect.signature(called).parameters)
    if isinstance(make, type):
        del parameters[next(iter(parameters))]  # the instance itself
    taken = {key: value for key, value in settings.items() if key in parameters}
    needed = [
        key
        for key, its in parameters.items()
        if its.default is its.empty and its.kind not in (its.VAR_POSITIONAL, its.VAR_KEYWORD)
    ]
    if missing := sorted({*needed} - {*taken, "rngs"}):
        allowed = ", ".join((*settings, "rngs"))
        raise ValueError(f"model: {name} may need no more than {allowed}; it needs {missing[0]}")
    if "rngs" in parameters:
        return NnxConstructor(make, tuple(taken.items()))
    try:
        made = make(**taken)
    except Exception as error:  # whatever the user's own function raises
        raise _why("be made", error) from error
    if callable(made) and not isinstance(
        made, nn.Module | nnx.Module | AtRest | FunctionPair | OfNnx
    ):
        raise ValueError(f"model: {name} must make a module or a pair of functions, got {made!r}")
    return as_model(made)


def has_method(model: Any, name: str) -> bool:
    """Whether a network has a method such as "encode"."""
    if isinstance(model, AtRest):
        model = model.module
    return hasattr(model.graph.kind if isinstance(model, OfNnx) else model, name)


def check_model(model: Any, key: jax.Array, image: Any) -> None:
    """Raises a `ValueError` that says why, where a network cannot be searched as it is.

    Args:
      model: in the form of `Model`.
      key: as `init` will take it.
      image: floats [1, H, W, C].
    """
    if isinstance(model, Autoencoder):
        return  # its own errors say more
    try:
        variables = dict(jax.eval_shape(model.init, key, image))
    except Exception as error:  # whatever the user's own network raises
        raise _why("be initialised with params alone", error) from error
    params = variables.pop("params", {})
    leaves = jax.tree.leaves(params)
    if not leaves or not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):
        kinds = sorted({str(leaf.dtype) for leaf in leaves})
        raise ValueError(f"model must have params that are floats, it has {kinds or 'none'}")
    try:
        output = jax.eval_shape(
            lambda its: model.apply(its, image), {"params": params, **variables}
        )
    except Exception as error:
        raise _why("run with params alone", error) from error
    if getattr(output, "shape", None) != image.shape:
        found = getattr(output, "shape", type(output).__name__)
        raise ValueError(
            f"model must return images of the shape {image.shape} that it is given, "
            f"it returned {found}"
        )


def _why(what: str, error: Exception) -> ValueError:
    if isinstance(error, flax.errors.InvalidRngError):
        reason = "it asks for random numbers: a Dropout must have deterministic=True"
    elif isinstance(error, flax.errors.ModifyScopeVariableError):
        reason = "it changes its collections: a BatchNorm must have use_running_average=True"
    else:
        reason = f"{type(error).__name__}: {in_short(error)}"
    return ValueError(f"model cannot {what}; {reason}")
