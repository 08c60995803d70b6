"""The errors of networks that differ from one network in a single weight.

The activations of that network, the centre, are computed once. A neighbour then needs only what
lies behind its changed weight, and of that only the block that the change reaches (the idea of
incremental evaluation, Langdon 2021, applied to weights).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from evoae import tree
from evoae.layers import Change, Weights, activate, activation_after, activation_change, cut, spans
from evoae.models import Autoencoder
from evoae.types import Params

PixelError = Callable[[jax.Array, jax.Array], jax.Array]


# Neighbours evaluated at a time where each changes a weight of its own.
SMALLEST_TILE, LARGEST_TILE = 4, 32


class Stage(NamedTuple):
    """One layer at work on the centre: its description, weights and activations [*shape, images]."""

    layer: Any  # a static `Layer`: a Stage lives within one trace only
    weights: Weights
    x: jax.Array
    pre: jax.Array
    out: jax.Array


class Centre(NamedTuple):
    """One network with its activations on one batch.

    Attributes:
      params: its weights.
      activations: (before, after) the activation function for each layer, [*shape, images].
      pixel_errors: [channels, height, width, images].
      error_sum: their sum.
    """

    params: Params
    activations: tuple[tuple[jax.Array, jax.Array], ...]
    pixel_errors: jax.Array
    error_sum: jax.Array


def centre(
    model: Autoencoder,
    pixel_error: PixelError,
    params: Params,
    inputs: jax.Array,
    targets: jax.Array,
) -> Centre:
    """Evaluates one network and keeps its activations. `inputs` as `Autoencoder.prepare` makes them."""
    activations, x = [], inputs
    for index, (_, layer, weights) in enumerate(model.stages(params)):
        of_patches = index == 0 and hasattr(layer, "of_patches")
        pre = layer.of_patches(weights, x) if of_patches else layer.pre_activation(weights, x)
        pre = lax.optimization_barrier(pre)
        x = lax.optimization_barrier(activate(layer, pre))
        activations.append((pre, x))
    errors = lax.optimization_barrier(pixel_error(x, targets))
    return Centre(params, tuple(activations), errors, errors.sum())


class Neighbours:
    """Evaluates neighbours of a centre; built anew in each trace, and holds no state beyond it."""

    def __init__(
        self, model: Autoencoder, pixel_error: PixelError, centre: Centre, targets: jax.Array
    ) -> None:
        self.pixel_error, self.centre, self.targets = pixel_error, centre, targets
        self.stages: list[Stage] = []
        self.weighted: list[int] = []  # the layers that have weights, in the order of `tree.ravel`
        starts: dict[int, int] = {}
        places, x = tree.places(centre.params["params"]), targets
        for index, (name, layer, weights) in enumerate(model.stages(centre.params)):
            pre, out = centre.activations[index]
            self.stages.append(Stage(layer, weights, x, pre, out))
            if weights:
                starts[index] = places[name]
            x = out
        self.weighted = sorted(starts, key=starts.__getitem__)
        self.starts = np.array([starts[i] for i in self.weighted])

    def of_shared_position(self, position: jax.Array, deltas: jax.Array) -> jax.Array:
        """Summed errors [C] of C neighbours: weight `position` changes by deltas [C]."""

        order = self._order(position)
        index = position - jnp.asarray(self.starts)[order]
        branches = [
            jax.vmap(functools.partial(self._error, stage), (None, 0)) for stage in self.weighted
        ]
        return lax.switch(order, branches, index, deltas)

    def of_positions(self, positions: jax.Array, deltas: jax.Array) -> jax.Array:
        """Summed errors [C] of C neighbours: weight positions [C] change by deltas [C], one each.

        Neighbours are sorted by the layer of their weight, and evaluated a tile at a time.
        """
        count = positions.shape[0]
        order = self._order(positions)
        sort = jnp.argsort(order, stable=True)
        index, deltas = (positions - jnp.asarray(self.starts)[order])[sort], deltas[sort]
        ends = jnp.searchsorted(order[sort], jnp.arange(len(self.weighted)), side="right")
        ends = jnp.concatenate([jnp.zeros(1, ends.dtype), ends])
        sizes = [tree.size(self.stages[stage].weights) for stage in self.weighted]
        expected = [count * size / sum(sizes) for size in sizes]
        tiles = [min(max(round(e), SMALLEST_TILE), LARGEST_TILE, count) for e in expected]
        room = max(tiles)
        index, deltas = jnp.pad(index, (0, room)), jnp.pad(deltas, (0, room))
        errors = jnp.zeros(count + room, jnp.float32)
        for number, stage in enumerate(self.weighted):
            begin, size = ends[number], tiles[number]

            def one_tile(i, errors, begin=begin, size=size, stage=stage):  # type: ignore[no-untyped-def]
                at = begin + i * size
                found = jax.vmap(functools.partial(self._error, stage))(
                    lax.dynamic_slice_in_dim(index, at, size),
                    lax.dynamic_slice_in_dim(deltas, at, size),
                )
                # What a tile writes beyond its layer's end, the next layer overwrites.
                return lax.dynamic_update_slice_in_dim(errors, found, at, 0)

            turns = -(-(ends[number + 1] - begin) // size)
            errors = lax.fori_loop(0, turns, one_tile, errors)
        return jnp.zeros(count, jnp.float32).at[sort].set(errors[:count])

    def _order(self, position: jax.Array) -> jax.Array:
        return (position[..., None] >= jnp.asarray(self.starts)).sum(-1) - 1

    def _error(self, first: int, index: jax.Array, delta: jax.Array) -> jax.Array:
        """Summed error of the neighbour in which weight `index` of layer `first` moves by `delta`."""
        stage = self.stages[first]
        change = stage.layer.weight_change(stage.x, index, delta)
        for number in range(first, len(self.stages)):
            stage = self.stages[number]
            if spans(change, stage.pre.shape[:-1]):
                return self._error_of_pre_activation(number, stage.pre + change.values)
            if number == len(self.stages) - 1:
                break
            change = activation_change(stage.layer, stage.pre, stage.out, change)
            change = Change(lax.optimization_barrier(change.values), change.start)
            stage = self.stages[number + 1]
            change = stage.layer.input_change(stage.weights, stage.x, stage.out, change)
        pixels = activation_after(stage.layer, stage.pre, change)
        block = change.start, change.sizes
        inside = self.pixel_error(pixels, cut(self.targets, *block)).sum()
        return self.centre.error_sum - cut(self.centre.pixel_errors, *block).sum() + inside

    def _error_of_pre_activation(self, number: int, pre: jax.Array) -> jax.Array:
        """Summed error where all of the pre-activation of layer `number` is new."""
        x = activate(self.stages[number].layer, lax.optimization_barrier(pre))
        for stage in self.stages[number + 1 :]:
            x = lax.optimization_barrier(x)
            x = activate(stage.layer, stage.layer.pre_activation(stage.weights, x))
        return self.pixel_error(x, self.targets).sum()
