"""What every layer has in common: the base class, activations, initial weights, checks."""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax

from evoae.checks import Checked

if TYPE_CHECKING:
    from evoae.layers.delta import Change

Shape = tuple[int, ...]
"""The shape of one image: (channels, height, width), or (units,) where it is flat."""

Weights = dict[str, jax.Array]
"""The weight arrays of one layer, by name."""

Activation = Literal["linear", "relu", "sigmoid", "tanh"]
"""What a layer does to its pre-activation."""

Initializer = Literal["uniform", "lecun", "he"]
"""How weights are drawn; see `initial_weights`."""

materialize = lax.optimization_barrier
"""Keeps XLA from fusing a value into each of its users, and so from computing it again in each."""


def places(*start: int | jax.Array) -> tuple[np.int32 | jax.Array, ...]:
    """Where `lax.dynamic_slice` begins, in one type: with 64 bits Python's numbers have another."""
    return tuple(np.int32(at) if isinstance(at, int) else at.astype(jnp.int32) for at in start)


def sigmoid(x: jax.Array) -> jax.Array:
    """1 / (1 + exp(-x)), spelled as XLA runs it fastest."""
    return 0.5 * jnp.tanh(0.5 * x) + 0.5


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: jnp.maximum(x, 0),
    "sigmoid": sigmoid,
    "tanh": jnp.tanh,
}

EXPENSIVE = ("sigmoid", "tanh")  # computed as one long run, see `activate`


class Layer(Checked):
    """The base of all layers: a frozen dataclass with pure methods.

    A layer of your own has `output_shape` and `pre_activation`, and `weight_shapes` where it has
    weights. One that sets `follows_changes` also has `input_change`, and `weight_change` where it
    has weights. If all layers of a network follow changes, children of one changed weight are
    evaluated from their parent's activations (`evoae.fitness.delta_evaluation`); otherwise all
    children are evaluated as whole networks.

    Attributes:
      activation: what follows the pre-activation.
      follows_changes: whether the layer can tell what a change of a weight, or of its input, makes
        of its pre-activation.
    """

    activation: Activation = "linear"
    follows_changes: bool = False

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of the output for an input of `shape`; a `ValueError` says what doesn't fit."""
        raise NotImplementedError(f"{type(self).__name__} has no output_shape")

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        """The name and shape of each weight array, in the order of the direct encoding."""
        return {}

    def pre_activation(self, weights: Weights, x: jax.Array) -> jax.Array:
        """[*shape, images] -> [*output_shape, images], before the activation."""
        raise NotImplementedError(f"{type(self).__name__} has no pre_activation")

    def weight_change(
        self, x: jax.Array, index: jax.Array, delta: jax.Array, *, each: bool
    ) -> "Change":
        """The change of the pre-activation when one weight changes.

        Args:
          x: the parent's input, [*shape, images].
          index: which weight, int32 (), in the order of `evoae.trees.ravel`: biases come first.
          delta: what is added to the weight, float32 ().
          each: whether `jax.vmap` over children maps the index too, as each child changes a weight
            of its own; otherwise all change the same one. Compute then what all children share
            once, outside of what depends on the index.
        """
        raise NotImplementedError(f"{type(self).__name__} does not follow changes")

    def carriers(self, x: jax.Array, count: int) -> tuple[npt.NDArray[np.int64], jax.Array]:
        """For each weight one that moves the same pre-activation, up to a factor for each image.

        Args:
          x: the parent's input, [*shape, images].
          count: of the layer's weights, W.

        Returns:
          The index [W] of that weight, and the factors, float32 [W, images]: here each its own.
        """
        return np.arange(count), jnp.ones((count, x.shape[-1]), jnp.float32)

    def input_change(
        self, weights: Weights, x: jax.Array, out: jax.Array, change: "Change", *, each: bool
    ) -> "Change":
        """The change of the pre-activation when the input changes.

        Args:
          weights: of the layer, the same for parent and child.
          x: the parent's input, [*shape, images].
          out: the parent's output, [*output_shape, images].
          change: of the input.
          each: as for `weight_change`: whether the place of the change differs between children.
        """
        raise NotImplementedError(f"{type(self).__name__} does not follow changes")


def activate(layer: Layer, pre: jax.Array) -> jax.Array:
    """The layer's activation of its own pre-activation.

    >>> from evoae.layers import Dense
    >>> activate(Dense(2, activation="relu"), jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    function = ACTIVATIONS[layer.activation]
    if layer.activation not in EXPENSIVE:
        return function(pre)
    # With its axes joined a CPU computes it by vectors; unless it is kept as it is, XLA parts them.
    return materialize(function(materialize(pre.reshape(-1)))).reshape(pre.shape)


def initial_weights(
    key: jax.Array, layer: Layer, shape: Shape, initializer: Initializer
) -> Weights:
    """Random weights of one layer.

    "uniform" draws every weight and bias from U(-1, 1), as Varadi (2021); "lecun" and "he" draw
    kernels from a normal distribution of variance 1 or 2 over the fan-in, and set biases to 0; what
    chooses an activation is drawn from N(0, 1).

    >>> from evoae.layers import Dense
    >>> weights = initial_weights(jax.random.key(0), Dense(2), (3,), "he")
    >>> weights["kernel"].shape, weights["bias"].tolist()
    ((2, 3), [0.0, 0.0])
    """
    weights = {}
    for index, (name, size) in enumerate(layer.weight_shapes(shape).items()):
        leaf_key = jax.random.fold_in(key, index)
        if initializer == "uniform":
            weights[name] = jax.random.uniform(leaf_key, size, jnp.float32, -1.0, 1.0)
        elif name.endswith("bias"):
            weights[name] = jnp.zeros(size, jnp.float32)
        elif name == "choice":
            weights[name] = jax.random.normal(leaf_key, size, jnp.float32)
        else:
            # What one output value is the sum of: a row of a matrix, or all values of a kernel but
            # its features.
            features = size[0] if len(size) == 2 else dataclasses.asdict(layer)["features"]  # type: ignore[call-overload]
            fan_in = math.prod(size) // features
            scale = math.sqrt({"lecun": 1.0, "he": 2.0}[initializer] / fan_in)
            weights[name] = scale * jax.random.normal(leaf_key, size, jnp.float32)
    return weights


def add_bias(pre: jax.Array, weights: Weights) -> jax.Array:
    """Adds weights["bias"], one value a channel or unit, where the layer has one."""
    if "bias" not in weights:
        return pre
    bias = weights["bias"]
    return pre + bias.reshape(bias.shape + (1,) * (pre.ndim - 1))


def image_shape(layer: object, shape: Shape) -> tuple[int, int, int]:
    """The shape as (channels, height, width), or a `ValueError` if it is flat."""
    if len(shape) != 3:
        raise ValueError(
            f"{type(layer).__name__} needs an image (channels, height, width), got {shape}"
        )
    return (shape[0], shape[1], shape[2])
