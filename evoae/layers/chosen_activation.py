"""An activation that is a weight: which of them it is, evolves with all other weights."""

import dataclasses

import jax
from jax import lax

from evoae.layers.base import ACTIVATIONS, Layer, Shape, Weights


@dataclasses.dataclass(frozen=True)
class ChosenActivation(Layer):
    """The activation whose number of four is the largest, behind a layer that is linear.

    Its weights are "choice" [4], for linear, relu, sigmoid and tanh; all are computed, and one is
    taken, so that networks of different activations are one program. The choice has no slope:
    gradients leave it as it is. Children of one changed weight are evaluated as whole networks
    where a model has such a layer.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[-1.0], [2.0]])
    >>> ChosenActivation().pre_activation({"choice": jnp.array([0.0, 1.0, 0.0, 0.5])}, x).tolist()
    [[0.0], [2.0]]
    """

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        return {"choice": (len(ACTIVATIONS),)}

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        return lax.select_n(
            weights["choice"].argmax(), *(activation(x) for activation in ACTIVATIONS.values())
        )
