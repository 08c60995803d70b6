"""Random networks, and the outputs of a network, each compiled once for all equal models."""

import functools
from typing import cast

import jax
from jax.typing import ArrayLike

from evoae.models.fixed_collections import HeldArrays
from evoae.models.own import Model
from evoae.types import Params


def random_networks(key: jax.Array, model: Model, image: ArrayLike, number: int | None) -> Params:
    """Random weights of one network, or of several independent ones, stacked."""
    keys = key if number is None else jax.random.split(key, number)
    if isinstance(keys, jax.core.Tracer):  # compiler options are for what is called from outside
        return _initialise(keys, image, model)
    return _initialised(keys, image, model)


def _initialise(keys: jax.Array, image: ArrayLike, model: Model) -> Params:
    """The weights from one key, or from several."""
    init = model.init if keys.ndim == 0 else jax.vmap(model.init, (0, None))
    return init(keys, image)["params"]


# Compiled once for all equal models. It runs once as well: LLVM's third level takes longer than all
# else, and gives the same bits.
_initialised = jax.jit(
    _initialise, static_argnames="model", compiler_options={"xla_backend_optimization_level": 2}
)


@functools.partial(jax.jit, static_argnames=("model", "method", "collections"))
def applied(
    model: Model,
    params: Params,
    inputs: ArrayLike,
    method: str | None = None,
    collections: HeldArrays | None = None,
) -> jax.Array:
    """What a network makes of images, or one of its methods, such as "decode", of its inputs.

    The collections are what the model has besides its params, such as the statistics of batches.
    """
    variables = {"params": params, **(collections.tree if collections else {})}
    return cast(jax.Array, model.apply(variables, inputs, method=method))
