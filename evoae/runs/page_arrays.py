"""What the page of a run shows of its network: latent, layers, and what genes made of it."""

from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from flax.traverse_util import flatten_dict

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
NUM_SAMPLES = 30  # decoded from the prior of a variational autoencoder


def views(task: Task, params: Params) -> dict[str, npt.NDArray[Any]]:
    """Computes the arrays of a page that need the model, as `evoae.report.page.Record` keeps them.

    Returns:
      "latent" [M, L] of the first M images, "labels" [M] where there are any, "backdrop" (what the
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
