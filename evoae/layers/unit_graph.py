"""A graph of units: any feed-forward network of at most so many units, as one layer."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from evoae.checks import Count
from evoae.layers.base import ACTIVATIONS, Activation, Layer, Shape, Weights, add_bias, materialize

UnitActivation = Literal["linear", "relu", "sigmoid", "tanh", "threshold"]
"""What a unit of a graph does to its sum; "threshold" is 1 above 0, and 0 elsewhere."""

UNIT_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = ACTIVATIONS | {
    "threshold": lambda x: (x > 0).astype(x.dtype)
}


@dataclasses.dataclass(frozen=True)
class UnitGraph(Layer):
    """Units in a row; each may read all inputs and every unit before it.

    Unit i is f(inputs[i] . x + links[i] . (units 0..i-1) + bias[i]); the output is outputs . units
    + output_bias. What stands in "links" on and above its diagonal is read by nothing. So with
    zeros in the right places it is any feed-forward graph of at most `num_units` units; which one
    is what the encoding `evoae.encodings.Cellular` finds. An image is read flat, as by `Dense`.

    A change of one weight is not followed through the graph: a network with this layer is always
    evaluated whole.

    Attributes:
      features: outputs.
      num_units: units, at least 1.
      unit_activation: f: "linear", "relu", "sigmoid", "tanh" or "threshold".
      activation: of the output: "linear", "relu", "sigmoid" or "tanh".

    >>> UnitGraph(2, num_units=8).weight_shapes((16,))["inputs"]
    (8, 16)
    """

    features: Count
    num_units: Count = 32
    unit_activation: UnitActivation = "tanh"
    activation: Activation = "linear"

    def output_shape(self, shape: Shape) -> Shape:
        return (self.features,)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        units, outputs = self.num_units, self.features
        return {
            "inputs": (units, math.prod(shape)),
            "links": (units, units),
            "bias": (units,),
            "outputs": (outputs, units),
            "output_bias": (outputs,),
        }

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        drive = add_bias(materialize(weights["inputs"] @ x.reshape(-1, x.shape[-1])), weights)
        links = jnp.asarray(weights["links"])  # a loop indexes them
        activation = UNIT_ACTIVATIONS[self.unit_activation]

        def unit(i: jax.Array, values: jax.Array) -> jax.Array:
            # Those from unit i on are still 0.
            return values.at[i].set(activation(drive[i] + links[i] @ values))

        values = lax.fori_loop(0, self.num_units, unit, jnp.zeros_like(drive))
        out = materialize(weights["outputs"] @ values)
        return add_bias(out, {"bias": weights["output_bias"]})
