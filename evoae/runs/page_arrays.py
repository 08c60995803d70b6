"""What the page of a run shows of its network: latent, layers, and what genes made of it."""

import json
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from flax.traverse_util import flatten_dict

from evoae.layers import ConvTranspose, Crop, Dense, Reshape, Unpool
from evoae.layers.base import Shape
from evoae.models import Autoencoder
from evoae.models.compiled import random_networks
from evoae.report.latent import lay_out_grid, place_grid
from evoae.report.page.images import draw_maps, to_bytes
from evoae.report.page.weights import draw_weights
from evoae.runs.measuring import draw_prior_samples
from evoae.runs.task import Task, keys_of
from evoae.types import Genotype, Params

NUM_LATENT = 1_000  # images in the latent map
NUM_IMAGES = 10  # whose feature maps are kept
DRAWN = (ConvTranspose, Crop, Dense, Reshape, Unpool)  # the layers that `explorer.js` knows
MOST_WEIGHTS = 400_000  # of a decoder in the page: two megabytes of text
NUM_SAMPLES = 30  # decoded from the prior of a variational autoencoder


def views(task: Task, params: Params) -> dict[str, npt.NDArray[Any]]:
    """Computes the arrays of a page that need the model, as `evoae.report.page.Record` keeps them.

    Returns:
      "latent" [M, L] of the first M images, "labels" [M] where there are any, "decoder" and
      "decoder_weights" where the page can draw with the decoder, "backdrop" (what the
      decoder draws on a grid over the latent map, as one image) where L = 2, "samples" (uint8 [S,
      H, W, C]) decoded from the prior where there is one, "layer_names" [K], "layer_ranges" [K, 2]
      and "layer_0" .. (uint8 [N, maps, H, W]).
    """
    if not isinstance(task.model, Autoencoder):
        return {}  # nothing is known of what is within
    low, high = task.config.data.low, task.config.data.high
    images = task.pixels(NUM_LATENT)
    found: dict[str, npt.NDArray[Any]] = {"latent": task.apply(params, images, "encode")}
    if task.labels is not None:
        found["labels"] = task.labels[:NUM_LATENT]
    found |= _decoder(task, params)
    if found["latent"].shape[1] == 2:
        decoded = task.apply(params, place_grid(found["latent"]), "decode")
        found["backdrop"] = lay_out_grid(to_bytes(decoded, low, high))
    if task.config.kl_weight is not None:
        found["samples"] = to_bytes(draw_prior_samples(task, params, NUM_SAMPLES), low, high)
    layers = jax.jit(task.model.activations)(params, images[:NUM_IMAGES])
    names, ranges = [name for name, *_ in task.model.stages(params)], []  # jit sorts names
    for index, name in enumerate(names):
        found[f"layer_{index}"], *limits = draw_maps(np.asarray(layers[name]))
        ranges.append(limits)
    return found | {"layer_names": np.array(names), "layer_ranges": np.array(ranges)}


def _decoder(task: Task, params: Params) -> dict[str, npt.NDArray[Any]]:
    """The decoder for `explorer.js`; nothing if that does not know one of its layers.

    Returns:
      "decoder", JSON of its layers, and "decoder_weights", float32, to which they point.
    """
    layers: list[dict[str, Any]] = []
    weights: list[npt.NDArray[np.float32]] = []
    shape: Shape = (task.model.latent_size(task.pixels(1).shape[1:]),)
    for name, layer, its in task.model.stages(params):
        if not name.startswith("decoder/"):
            continue
        if type(layer) not in DRAWN:
            return {}
        after = layer.output_shape(shape)
        step: dict[str, Any] = {
            "kind": type(layer).__name__,
            "shape": after,
            "activation": layer.activation,
        }
        for leaf in ("kernel", "bias"):
            step[leaf] = sum(map(len, weights)) if leaf in its else None
            weights.append(np.asarray(its.get(leaf, ()), np.float32).ravel())
        step["biases"] = len(weights[-1])
        if isinstance(layer, ConvTranspose):
            group, features, side = its["kernel"].shape[:3]
            step |= {"group": group, "features": features, "side": side}
            step |= {"unpool": layer.unpool, "stride": layer.stride, "crop": layer.crop}
        elif isinstance(layer, Unpool):
            step["size"] = layer.size
        layers.append(step)
        shape = after
    if sum(map(len, weights)) > MOST_WEIGHTS:
        return {}
    data = task.config.data
    decoder = {"layers": layers, "shape": shape, "range": [data.low, data.high]}
    return {"decoder": np.array(json.dumps(decoder)), "decoder_weights": np.concatenate(weights)}


def views_of_genotype(
    task: Task, genotype: Genotype, params: Params
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a page that tell what genes made; nothing where they are the weights.

    Returns:
      The pictures of `evoae.report.page.weights`, beside weights as the initializer draws them, and
      "architecture" [parts, 4] (layer, what, value, most) where the encoding has one.
    """
    if not task.encoded:
        return {}
    # The network from which the first genes were made.
    key = keys_of(task.config.seed).weights
    raw = random_networks(key, task.model, task.pixels(1), None)
    random, made = (flatten_dict(tree, sep="/") for tree in (raw, params))
    found = draw_weights({name: (random[name], made[name]) for name in random})
    parts = task.config.encoding.architecture(genotype, task.decoder.like)
    if parts is not None:
        rows = [["" if its is None else str(its) for its in part] for part in parts]
        found["architecture"] = np.array(rows)
    return found
