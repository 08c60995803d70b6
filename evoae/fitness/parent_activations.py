"""A parent with its activations on a batch, for the errors of its children."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from evoae.models import Autoencoder
from evoae.types import Params

# (pre-activation of the last layer, target) -> errors of pixels
PixelError = Callable[[jax.Array, jax.Array], jax.Array]


class ParentActivations(NamedTuple):
    """One network with its activations on one batch."""

    params: Params  # its weights
    # (before, after) the activation function for each layer, [*shape, images]
    activations: tuple[tuple[jax.Array, jax.Array], ...]
    pixel_errors: jax.Array  # [channels, height, width, images]
    error_sum: jax.Array  # their sum


def evaluate_parent(
    model: Autoencoder,
    pixel_error: PixelError,
    params: Params,
    inputs: jax.Array,
    targets: jax.Array,
    previous: ParentActivations | None = None,
) -> ParentActivations:
    """Evaluates one network and keeps its activations; `inputs` come from `Autoencoder.prepare`.

    With the `previous` parent, on the same batch, an encoder or a network with unchanged weights is
    not computed again.
    """
    count = sum(name.startswith("encoder/") for name, *_ in model.stages(params))
    forward = functools.partial(model.forward, params, keep=lax.optimization_barrier)

    def encoded() -> Any:
        return tuple((pre, x) for _, pre, x in itertools.islice(forward(inputs), count))

    def decoded(latent: jax.Array) -> Any:
        activations = tuple((pre, x) for _, pre, x in forward(latent, since=count))
        errors = lax.optimization_barrier(pixel_error(activations[-1][0], targets))
        return activations, errors, errors.sum()

    if previous is None:
        first = encoded()
        rest, *errors = decoded(first[-1][1])
        return ParentActivations(params, (*first, *rest), *errors)
    kept = previous.activations
    same = jax.tree.map(lambda a, b: (a == b).all(), params, previous.params)
    same_encoder = jnp.stack(jax.tree.leaves(same["encoder"])).all()
    same_decoder = jnp.stack(jax.tree.leaves(same["decoder"])).all()
    first = lax.cond(same_encoder, lambda: kept[:count], encoded)
    rest, *errors = lax.cond(
        same_encoder & same_decoder,
        lambda _: (kept[count:], previous.pixel_errors, previous.error_sum),
        decoded,
        first[-1][1],
    )
    return ParentActivations(params, (*first, *rest), *errors)
