"""Delta evaluation: the errors of children that differ from their parent in a single weight.

The activations of the parent are computed once. A child then needs only what lies behind its
changed weight, and of that only the block that the change reaches (the idea of incremental
evaluation, Langdon 2021, applied to weights).
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax

from evoae import trees
from evoae.fitness.effects import Effects
from evoae.fitness.parent_activations import ParentActivations, PixelError
from evoae.layers import Change, Dense, Weights, activate, activation_change, cut, spans
from evoae.layers.delta import widen
from evoae.models import Autoencoder
from evoae.platforms import Platform


class Stage(NamedTuple):
    """One layer at work on the parent, with its input and output [*shape, images]."""

    layer: Any  # a static `Layer`: a Stage lives within one trace only
    weights: Weights
    x: jax.Array
    pre: jax.Array
    out: jax.Array


class DeltaEvaluation:
    """Evaluates children of one parent; built anew in each trace, and holds no state beyond it."""

    def __init__(
        self,
        model: Autoencoder,
        pixel_error: PixelError,
        parent: ParentActivations,
        images: jax.Array,
        targets: jax.Array,
        platform: Platform,
    ) -> None:
        self.pixel_error, self.parent, self.targets = pixel_error, parent, targets
        self.stages: list[Stage] = []
        self.weighted: list[int] = []  # the layers that have weights
        places, starts, x = trees.places(parent.params), [], images
        for index, (name, layer, weights) in enumerate(model.stages(parent.params)):
            pre, out = parent.activations[index]
            self.stages.append(Stage(layer, weights, x, pre, out))
            if weights:
                self.weighted.append(index)
                starts.append(places[name])
            x = out
        # Of children that each change a weight of their own. It does not depend on how many there
        # are, and so neither does rounding.
        self.tile = platform.tile_size(images.shape[-1] * targets[..., 0].size)
        self.starts = np.array(starts, np.int32)  # where their weights begin in `tree.ravel`

    def of_shared_position(self, position: jax.Array, deltas: jax.Array) -> jax.Array:
        """Summed errors [C] of C children: weight `position` changes by deltas [C]."""
        layer, index = self._locate(position)
        branches = [self._of_layer(first) for first in self.weighted]
        return lax.switch(layer, branches, index, deltas)

    def _of_layer(self, first: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
        """(index, deltas [C]) -> summed errors [C] of changes of one weight of layer `first`."""
        whole = self._whole_from(first)
        if whole == self.last:
            return jax.vmap(functools.partial(self._error, first, each=False), (None, 0))
        head = functools.partial(self._pre_activation, first, until=whole, each=False)
        # Laid out at once as the layers behind need it: to move an axis of it later costs more.
        heads = jax.vmap(head, (None, 0), out_axes=-2)
        return lambda index, deltas: self._errors_of_pre_activations(whole, heads(index, deltas))

    def of_positions(self, positions: jax.Array, deltas: jax.Array) -> jax.Array:
        """Summed errors [C] of C children: weight positions [C] change by deltas [C], one each."""

        def tail(pre: jax.Array) -> jax.Array:
            return self._errors_of_pre_activations(self.meeting, jnp.moveaxis(pre, 0, -2))

        return self._of_children(positions, deltas, (), self._error, tail)

    def effects(self, positions: jax.Array, deltas: jax.Array) -> Effects:
        """The difference of each child's output from the parent's.

        The output is the pre-activation of the last layer; children are as for `of_positions`.
        """
        row = (self.stages[self.last].pre.size,)
        return Effects(
            self._of_children(positions, deltas, row, self._output_change, self._output_of_meeting)
        )

    def short_effects(self, positions: jax.Array, deltas: jax.Array) -> Effects:
        """The same for changes so short that the output is linear in them.

        Weights that move the same pre-activation have the row of one of them, its bias, which is
        evaluated both ways; each child has that row times what its weight is multiplied by. Where
        that would not be fewer networks, each child is evaluated.
        """
        by_start = np.argsort(self.starts)
        units: list[npt.NDArray[np.int64]] = []
        row, factors = [], []
        for n in by_start:
            stage = self.stages[self.weighted[n]]
            carrier, factor = stage.layer.carriers(stage.x, trees.size(stage.weights))
            own, unit = np.unique(carrier, return_inverse=True)
            row.append(sum(map(len, units)) + unit)
            units.append(own)
            factors.append(factor)
        if 2 * sum(map(len, units)) >= len(positions):
            return self.effects(positions, deltas)
        length = jnp.abs(deltas).max()
        rates = [self._rates(n, own, length) for n, own in zip(by_start, units, strict=True)]
        factor = jnp.concatenate(factors)[positions] * deltas[:, None]
        of_all = jnp.asarray(np.concatenate(row), jnp.int32)
        return Effects(jnp.concatenate(rates), of_all[positions], factor)

    def _rates(self, n: int, index: npt.NDArray[np.int64], length: jax.Array) -> jax.Array:
        """The change of the output by some of the weights of a layer, by their index in it.

        By half of the difference of two changes, one of +length and one of -length.
        """
        first = self.weighted[n]
        size = self.tile // 4 if first < self.meeting else self._tile(n)
        tiles = np.resize(index, (-(-len(index) // size), size))
        signs = [1.0] if first == self.last else [1.0, -1.0]  # what is linear needs one of them

        def of_tile(index: jax.Array) -> jax.Array:
            both = jnp.tile(index, len(signs)), length * jnp.repeat(jnp.float32(signs), size)
            if first < self.meeting:
                met = functools.partial(self._pre_activation, first, until=self.meeting, each=True)
                change = self._output_of_meeting(jax.vmap(met)(*both))
            else:
                change = jax.vmap(functools.partial(self._output_change, first, each=True))(*both)
            rates = [sign / length * change[i * size :][:size] for i, sign in enumerate(signs)]
            return sum(rates[1:], start=rates[0]) / len(signs)

        rates = lax.map(of_tile, jnp.int32(tiles))
        return rates.reshape(-1, rates.shape[-1])[: len(index)]

    def _of_children(  # type: ignore[no-untyped-def]
        self, positions, deltas, row, of_child, tail
    ) -> jax.Array:
        """A result of the shape `row` for each child.

        Children are sorted by the layer of their weight, and evaluated a tile at a time. Those
        whose change reaches all of the last dense layer's output first meet there.
        """
        total = positions.shape[0]
        layer, index = self._locate(positions)
        sort = jnp.argsort(layer, stable=True)
        ends = jnp.searchsorted(
            layer[sort], jnp.arange(len(self.weighted), dtype=jnp.int32), side="right"
        )
        starts = jnp.concatenate([jnp.zeros(1, ends.dtype), ends[:-1]])
        index, deltas = (jnp.pad(x[sort], (0, self.tile)) for x in (index, deltas))
        rows = total + self.tile

        def in_tiles(function, size, begin, end, results, *arrays):  # type: ignore[no-untyped-def]
            def one_tile(i, results):  # type: ignore[no-untyped-def]
                at = begin + i * size
                found = function(*(lax.dynamic_slice_in_dim(array, at, size) for array in arrays))
                # What a tile writes beyond its layer's end, the next layer overwrites.
                return lax.dynamic_update_slice_in_dim(results, found, at, 0)

            return lax.fori_loop(0, -(-(end - begin) // size), one_tile, results)

        def of_layer(n, function, results):  # type: ignore[no-untyped-def]
            each = jax.vmap(functools.partial(function, self.weighted[n], each=True))
            return in_tiles(each, self._tile(n), starts[n], ends[n], results, index, deltas)

        results = jnp.zeros((rows, *row), jnp.float32)
        meeting, before = self.meeting, [n for n, i in enumerate(self.weighted) if i < self.meeting]
        if before:
            met = jnp.zeros((rows, *self.stages[meeting].pre.shape), results.dtype)
            for n in before:
                met = of_layer(n, functools.partial(self._pre_activation, until=meeting), met)
            results = in_tiles(tail, self.tile // 4, 0, ends[before[-1]], results, met)
        for n in range(len(before), len(self.weighted)):
            results = of_layer(n, of_child, results)
        return jnp.zeros((total, *row), jnp.float32).at[sort].set(results[:total])

    def _locate(self, position: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Which of the layers with weights a position belongs to, and its index in that layer."""
        by_start = np.argsort(self.starts).astype(np.int32)  # with 64 bits, too
        found = jnp.searchsorted(jnp.asarray(self.starts[by_start]), position, side="right") - 1
        layer = jnp.asarray(by_start)[found]
        return layer, position - jnp.asarray(self.starts)[layer]

    def _tile(self, n: int) -> int:
        """The tile of one of the layers with weights: in proportion to how many it has."""
        sizes = [trees.size(self.stages[stage].weights) for stage in self.weighted]
        part = round(2 * self.tile * sizes[n] / sum(sizes))
        return min(max(part, self.tile // 16, 1), self.tile)

    @property
    def last(self) -> int:
        """The last layer."""
        return len(self.stages) - 1

    @property
    def meeting(self) -> int:
        """The last dense layer: a change in front of it is everywhere behind it."""
        dense = [i for i, stage in enumerate(self.stages) if isinstance(stage.layer, Dense)]
        return max(dense, default=0)

    def _whole_from(self, first: int) -> int:
        """Where a change by a weight of layer `first` is everywhere in the pre-activation.

        The last layer also if it never is.
        """
        whole = self.last

        def follow(index: jax.Array, delta: jax.Array) -> None:
            nonlocal whole
            for number, change in self._walk(first, index, delta, each=False):
                if spans(change, self.stages[number].pre.shape[:-1]):
                    whole = number
                    return

        jax.eval_shape(follow, jnp.int32(0), jnp.float32(0))
        return whole

    def _walk(
        self, first: int, index: jax.Array, delta: jax.Array, *, each: bool
    ) -> Iterator[tuple[int, Change]]:
        """The change of each pre-activation from layer `first` on, by one of its weights."""
        stage = self.stages[first]
        change = stage.layer.weight_change(stage.x, index, delta, each=each)
        yield first, change
        for number in range(first + 1, len(self.stages)):
            change = activation_change(stage.layer, stage.pre, stage.out, change)
            change = Change(lax.optimization_barrier(change.values), change.start)
            stage = self.stages[number]
            change = stage.layer.input_change(stage.weights, stage.x, stage.out, change, each=each)
            yield number, change

    def _error(self, first: int, index: jax.Array, delta: jax.Array, *, each: bool) -> jax.Array:
        """Summed error of the child whose weight `index` of layer `first` moves by `delta`."""
        for number, change in self._walk(first, index, delta, each=each):
            pre = self.stages[number].pre
            if spans(change, pre.shape[:-1]):
                pre = (pre.reshape(-1) + change.values.reshape(-1)).reshape(pre.shape)
                pre = self._forward(number, pre, self.last).reshape(-1)
                errors = self.pixel_error(pre, self.targets.reshape(-1))
                return lax.optimization_barrier(errors).sum()
        pre, block = self.stages[-1].pre, (change.start, change.sizes)
        pre = cut(pre, *block).reshape(-1) + change.values.reshape(-1)
        inside = self.pixel_error(pre, cut(self.targets, *block).reshape(-1))
        inside = lax.optimization_barrier(inside).sum()
        return self.parent.error_sum - cut(self.parent.pixel_errors, *block).sum() + inside

    def _output_change(
        self, first: int, index: jax.Array, delta: jax.Array, *, each: bool
    ) -> jax.Array:
        """The change of the output [M] when weight `index` of layer `first` moves by `delta`."""
        own = self.stages[self.last].pre
        for number, change in self._walk(first, index, delta, each=each):
            pre = self.stages[number].pre
            if number < self.last and spans(change, pre.shape[:-1]):
                return (self._forward(number, pre + change.values, self.last) - own).reshape(-1)
        whole = widen(change, own.shape[:-1], tuple(range(own.ndim - 1)))
        return whole.values.reshape(-1)

    def _output_of_meeting(self, pre: jax.Array) -> jax.Array:
        """The change of the output [C, M] for children with these values at the meeting layer."""
        own, (children, *_, images) = self.stages[self.last].pre, pre.shape
        pre = jnp.moveaxis(pre, 0, -2)
        pre = self._forward(
            self.meeting, pre.reshape(*pre.shape[:-2], children * images), self.last
        )
        pre = pre.reshape(*own.shape[:-1], children, images) - own[..., None, :]
        return jnp.moveaxis(pre, -2, 0).reshape(children, -1)

    def _pre_activation(
        self, first: int, index: jax.Array, delta: jax.Array, *, until: int, each: bool
    ) -> jax.Array:
        """The pre-activation of layer `until`, which the change reaches everywhere."""
        for number, change in self._walk(first, index, delta, each=each):
            pre = self.stages[number].pre
            if spans(change, pre.shape[:-1]):
                break
        return self._forward(number, pre + change.values, until)

    def _forward(self, number: int, pre: jax.Array, until: int) -> jax.Array:
        """From the pre-activation of one layer to that of a later one."""
        for i in range(number, until):
            x = activate(self.stages[i].layer, lax.optimization_barrier(pre))
            following = self.stages[i + 1]
            pre = following.layer.pre_activation(following.weights, lax.optimization_barrier(x))
        return pre

    def _errors_of_pre_activations(self, number: int, pre: jax.Array) -> jax.Array:
        """Summed errors [C], from all of the pre-activations [*shape, C, images] of layer `number`.

        What lies behind is the same network for all of them, so they pass it as more images.
        """
        *shape, children, images = pre.shape
        pre = self._forward(number, pre.reshape(*shape, children * images), self.last)
        # One copy for each child: with a target that is spread XLA computes value by value.
        targets = jnp.concatenate([self.targets] * children, -1)
        errors = lax.optimization_barrier(self.pixel_error(pre, lax.optimization_barrier(targets)))
        return errors.reshape(-1, children * images).sum(0).reshape(children, images).sum(1)
