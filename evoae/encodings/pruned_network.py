"""From a network with masks to one of plain layers, which is as large as it must be."""

import dataclasses
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from evoae.encodings.architecture import Architecture
from evoae.layers import ChosenActivation, Conv, ConvTranspose, Dense, Reshape
from evoae.layers.base import ACTIVATIONS
from evoae.models import Autoencoder
from evoae.types import Params

Masks = list[npt.NDArray[np.bool_]]


def cut_down(
    model: Autoencoder, params: Params, shape: Architecture, counts: jax.Array
) -> tuple[Autoencoder, Params]:
    """A plain autoencoder with the outputs of `model`, and its weights; see `Parametric.cut_down`.

    `params` are 0 where they are not used, and `counts`, int32 [J], the choice of each size.
    """
    stacks: dict[str, list[Any]] = {}
    weights: dict[str, dict[str, Any]] = {}
    share = 1.0  # of what the last layer makes
    for stack in ("encoder", "decoder"):
        layers, arrays = stacks.setdefault(stack, []), weights.setdefault(stack, {})
        for index, layer in enumerate(getattr(model, f"{stack}_layers")):
            name = f"{index}_{type(layer).__name__}"
            its = params.get(stack, {}).get(name)
            if isinstance(layer, ChosenActivation):
                _choose(layers, int(its["choice"].argmax()), f"{stack}_layers[{index}]")
                continue
            if isinstance(layer, Reshape):
                layer = dataclasses.replace(layer, channels=round(layer.channels * share))
            if its:
                found = {
                    array: [
                        np.asarray(mask)
                        for mask in shape.masks(counts, f"{stack}/{name}", array, leaf.shape)
                    ]
                    for array, leaf in its.items()
                }
                layer = _smaller(layer, found["kernel"])
                arrays[f"{len(layers)}_{type(layer).__name__}"] = {
                    array: _taken(np.asarray(leaf), found[array], layer)
                    for array, leaf in its.items()
                }
                factors = shape.stages[f"{stack}/{name}"].biases
                period = [shape.sizes[place].choices * repeat for place, repeat in factors]
                share = float(shape.passed(counts, factors, max(period, default=1)).mean())
            layers.append(layer)
    plain = Autoencoder(stacks["encoder"], stacks["decoder"], model.initializer)
    return plain, {stack: its for stack, its in weights.items() if its}


def _choose(layers: list[Any], choice: int, where: str) -> None:
    """Gives the layer in front of a chosen activation that activation."""
    before = layers[-1] if layers else None
    if not isinstance(before, Conv | ConvTranspose | Dense) or before.activation != "linear":
        raise ValueError(
            f"{where}: ChosenActivation must follow a Conv, ConvTranspose or Dense with "
            f"activation='linear' to be cut down, got {before!r}"
        )
    activation: Any = tuple(ACTIVATIONS)[choice]
    layers[-1] = dataclasses.replace(before, activation=activation)


def _smaller(layer: Any, masks: Masks) -> Any:
    """The layer with the features, the group and the kernel that are used."""
    outputs, inputs = masks[:2]
    if isinstance(layer, ConvTranspose):
        outputs, inputs = inputs, outputs
    fields: dict[str, Any] = {"features": int(outputs.sum())}
    if not isinstance(layer, Dense):
        if not inputs.all():
            fields["group"] = None
        side = int(masks[2].any(0).sum())
        if layer.padding == "same":
            # With a side below the stride images would move.
            while side < min(layer.stride, layer.kernel_size):
                side += 2
            fields["kernel_size"] = min(side, layer.kernel_size)
    return dataclasses.replace(layer, **fields)


def _taken(leaf: npt.NDArray[Any], masks: Masks, layer: Any) -> npt.NDArray[Any]:
    """What is used of an array."""
    for axis, mask in enumerate(masks[:2]):
        leaf = leaf.compress(mask, axis)
    if leaf.ndim == 4:
        rim = (leaf.shape[2] - layer.kernel_size) // 2
        stop = leaf.shape[2] - rim
        leaf = leaf[:, :, rim:stop, rim:stop]
    return leaf
