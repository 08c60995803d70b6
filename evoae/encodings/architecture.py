"""What of a network can vary within its arrays: channels, units, kernels and activations."""

import functools
import itertools
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evoae.types import Params

CHOSEN = "ChosenActivation"
_NAME = re.compile(rf"((?:encoder|decoder)/(\d+)_(Conv|ConvTranspose|Dense|{CHOSEN}))")


class Size(NamedTuple):
    """One number of an architecture."""

    layer: str  # whose it is, such as "encoder/0_Conv"
    what: str  # "channels", "units" or "kernel"
    most: int  # how many there are; the side of the whole kernel

    @property
    def choices(self) -> int:
        """How many values it can have; for a kernel as many as it has rings, the middle included.

        >>> Size("encoder/0_Conv", "kernel", 5).choices
        3
        """
        return (self.most + 1) // 2 if self.what == "kernel" else self.most

    def value(self, count: int) -> int:
        """The value of one choice, which counts from 1.

        >>> [Size("encoder/0_Conv", "kernel", 5).value(count) for count in (1, 2, 3)]
        [1, 3, 5]
        """
        return 2 * count - self.most % 2 if self.what == "kernel" else count


class Factor(NamedTuple):
    """What one size lets through along an axis: value v where v // repeat % choices < count."""

    place: int  # of the size
    repeat: int

    def times(self, block: int) -> "Factor":
        """The same where each value has become a block of values."""
        return Factor(self.place, self.repeat * block)


Factors = tuple[Factor, ...]


class Stage(NamedTuple):
    """How the sizes cut the arrays of one layer. A value must pass all factors of its axis."""

    kind: str  # the type of the layer
    outputs: Factors = ()  # along the axis of its kernel that makes the output
    inputs: Factors = ()  # along the axis that reads the input
    biases: Factors = ()  # along the output itself
    kernel: int | None = None  # the place of the size of the kernel, where that varies


class Architecture(NamedTuple):
    """The sizes of a network, and its layers with weights by their names, as they are computed."""

    sizes: tuple[Size, ...]
    stages: dict[str, Stage]

    def passed(self, counts: jax.Array, factors: Factors, length: int) -> jax.Array:
        """Which values of an axis are used, bool [length]; counts are int32 [J], one a size."""
        used, value = jnp.ones(length, bool), jnp.arange(length, dtype=jnp.int32)
        for place, repeat in factors:
            used &= value // repeat % self.sizes[place].choices < counts[place]
        return used

    def masks(
        self, counts: jax.Array, layer: str, array: str, shape: tuple[int, ...]
    ) -> list[jax.Array]:
        """What of an array is used: bools for axis after axis, and [k, k] for those of a kernel."""
        stage = self.stages[layer]
        if array != "kernel":
            return [self.passed(counts, stage.biases, shape[0])]
        along = (stage.outputs, stage.inputs)
        if stage.kind == "ConvTranspose":
            along = along[::-1]
        found = [self.passed(counts, factors, n) for factors, n in zip(along, shape, strict=False)]
        if len(shape) == 4:
            whole = jnp.ones(shape[2:], bool)
            found.append(whole if stage.kernel is None else rings(shape[2]) < counts[stage.kernel])
        return found


def rings(side: int) -> jax.Array:
    """The ring of each place of a square kernel, counted from the middle; int32 [side, side].

    >>> rings(4)[0].tolist(), rings(3)[1].tolist()
    ([1, 1, 1, 1], [1, 0, 1])
    """
    off = jnp.abs(2 * jnp.arange(side, dtype=jnp.int32) - (side - 1)) // 2
    return jnp.maximum(off[:, None], off[None])


def where_arrays_are(like: Params) -> list[tuple[str, str]]:
    """The layer and the name of each array, such as ("encoder/0_Conv", "kernel")."""
    found = []
    for path, _ in jax.tree_util.tree_leaves_with_path(like):
        whole = jax.tree_util.keystr(path, simple=True, separator="/")
        layer, _, array = whole.rpartition("/")
        named = _NAME.fullmatch(layer)
        if named is None:
            raise ValueError(
                "Parametric: the network must be an evoae.Autoencoder of Conv, ConvTranspose, "
                f"Dense and {CHOSEN}; got one with the weights {whole!r}"
            )
        found.append((named[1], array))
    return found


def architecture(like: Params) -> Architecture:
    """Reads it from the arrays of an `evoae.Autoencoder`, by their names and shapes.

    Kernels that groups of channels share are taken to be of a single group where they read the
    image, and where they make it.

    Raises:
      ValueError: arrays of other layers, or nothing that can vary.
    """
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for (layer, array), leaf in zip(where_arrays_are(like), jax.tree.leaves(like), strict=True):
        shapes.setdefault(layer, {})[array] = tuple(leaf.shape)
    return _architecture(tuple((name, tuple(its.items())) for name, its in shapes.items()))


class _Layer(NamedTuple):
    """A layer with a kernel."""

    name: str
    stack: str
    place: int  # in its stack
    kind: str
    features: int
    group: int  # what a kernel reads at a time
    side: int  # of the kernel
    biases: int | None

    @property
    def dense(self) -> bool:
        return self.kind == "Dense"


class _Boundary(NamedTuple):
    """What passes from one layer to the next: channels, as blocks of what each of them sees."""

    channels: int
    written: int
    read: int


@functools.cache
def _architecture(
    arrays: tuple[tuple[str, tuple[tuple[str, tuple[int, ...]], ...]], ...],
) -> Architecture:
    shapes = {name: dict(its) for name, its in arrays}
    stages = {name: Stage(CHOSEN) for name in shapes if name.endswith(CHOSEN)}
    layers = _layers(shapes)
    inputs = _input_channels(layers)
    shared = [
        not its.dense and n > its.group for its, n in zip(layers, inputs, strict=True)
    ]  # kernels that several groups of channels share
    boundaries: list[_Boundary | None] = [None] * len(layers)
    for i, (one, other) in reversed(list(enumerate(itertools.pairwise(layers)))):
        # Kernels that are shared leave out no channel of their own: what comes behind must.
        can = not shared[i + 1] or (other.group == 1 and boundaries[i + 1] is not None)
        out = one.features * (inputs[i] // one.group if shared[i] else 1)
        boundaries[i] = _boundary(one, other, out, inputs[i + 1], stages) if can else None

    sizes: list[Size] = []
    before: Factors = ()  # of the channels that the layer reads
    for i, layer in enumerate(layers):
        boundary = boundaries[i]
        own: Factors = ()
        kernel: int | None = None
        if boundary is not None:
            most = layer.features if shared[i] else boundary.channels
            if most > 1:
                own = (Factor(len(sizes), 1),)
                units = layer.dense and boundary.written == 1
                sizes.append(Size(layer.name, "units" if units else "channels", most))
        if layer.side > 2:
            kernel = len(sizes)
            sizes.append(Size(layer.name, "kernel", layer.side))
        after = own
        if shared[i] and boundary is not None:
            after += tuple(factor.times(layer.features) for factor in before)
        written = boundary.written if boundary else 1
        read = (boundaries[i - 1] or _Boundary(1, 1, 1)).read if i else 1
        stages[layer.name] = Stage(
            layer.kind,
            outputs=tuple(factor.times(written) for factor in own),
            inputs=() if shared[i] else tuple(factor.times(read) for factor in before),
            biases=tuple(factor.times(written) for factor in after),
            kernel=kernel,
        )
        before = after
    if not sizes and not any(stage.kind == CHOSEN for stage in stages.values()):
        raise ValueError(
            "Parametric: the network must have channels, units, kernels or activations that can "
            f"vary, got one with the layers {', '.join(shapes) or 'none'}"
        )
    return Architecture(tuple(sizes), {name: stages[name] for name in sorted(stages, key=_order)})


def _layers(shapes: dict[str, dict[str, tuple[int, ...]]]) -> list[_Layer]:
    """The layers with kernels in the order in which they are computed."""
    found = []
    for name, arrays in shapes.items():
        if name.endswith(CHOSEN):
            continue
        kernel, biases = arrays["kernel"], arrays.get("bias", (None,))[0]
        stack, _, rest = name.partition("/")
        index, _, kind = rest.partition("_")
        features, group = kernel[1::-1] if kind == "ConvTranspose" else kernel[:2]
        side = kernel[2] if len(kernel) == 4 else 1
        found.append(_Layer(name, stack, int(index), kind, features, group, side, biases))
    return sorted(found, key=lambda layer: _order(layer.name))


def _order(name: str) -> tuple[bool, int]:
    stack, _, rest = name.partition("/")
    return stack == "decoder", int(rest.partition("_")[0])


def _input_channels(layers: list[_Layer]) -> list[int]:
    """How many channels or values each layer reads."""
    numbers = [layer.group for layer in layers]
    for dense, places in itertools.groupby(range(len(layers)), lambda i: layers[i].dense):
        if dense:
            continue
        run = list(places)
        if run[0] == 0:  # from the image on
            for i in run[1:]:
                numbers[i] = numbers[i - 1] // layers[i - 1].group * layers[i - 1].features
        else:  # towards the image
            for i in reversed(run[:-1]):
                numbers[i] = numbers[i + 1] // layers[i].features * layers[i].group
        for i in run:
            layer, biases = layers[i], layers[i].biases
            expected = numbers[i] // layer.group * layer.features
            if numbers[i] % layer.group or biases not in (None, expected):
                raise ValueError(
                    f"Parametric: the channels of {layer.name} must follow from its neighbours, "
                    f"which give it {numbers[i]}; its kernel reads {layer.group} at a time"
                )
    return numbers


def _boundary(
    one: _Layer, other: _Layer, out: int, into: int, stages: dict[str, Stage]
) -> _Boundary | None:
    """None where what one layer makes cannot be found again in what the other one reads."""
    if one.dense and other.dense:
        begin = one.place + 1 if one.stack == other.stack else 0
        between = (f"{other.stack}/{i}_{CHOSEN}" for i in range(begin, other.place))
        direct = out == into and all(name in stages for name in between)
        return _Boundary(out, 1, 1) if direct else None
    if one.dense:
        return _Boundary(into, out // into, 1) if out % into == 0 else None
    return _Boundary(out, 1, into // out) if into % out == 0 else None
