"""Fig. 1: what convolution and pooling make of ten samples."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae import trees
from evoae.experiments.paper.harness import pictures, tables
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts
from evoae.experiments.paper.harness.networks import map_networks
from evoae.experiments.paper.harness.statements import is_most
from evoae.experiments.paper.harness.tables import Group, Table
from evoae.models.compiled import random_networks
from evoae.runs.config import PRESETS
from evoae.runs.task import prepare
from evoae.types import Params

LAYER = "encoder/3_MaxPool"  # the last one in front of the dense layers: 4x4 values
DISTINCT = 0.01  # of the largest value in all maps
DIFFERENCE = "smallest_difference"
NAMES = ("random", "evolved")


def measure(parts: Parts, *, networks: int, seeds: int, generations: int) -> Arrays:
    """The maps of random networks, and of networks that were evolved with the paper's settings."""
    config = dataclasses.replace(PRESETS["paper-ten"], num_generations=generations)
    task = prepare(config)
    images = task.pixels()

    def maps(params: Params) -> jax.Array:
        return task.model.activations(params, jnp.asarray(images))[LAYER][..., 0]

    random = random_networks(jax.random.key(config.seed), task.model, images, networks)
    evolved = parts.sweep("evolved", config, {}, seeds=seeds)
    return {
        "images": images[..., 0],
        "random": map_networks(task, maps, np.asarray(jax.vmap(trees.ravel)(random))),
        "evolved": map_networks(task, maps, evolved["weights"]),
        "error": evolved["error"],
    }


def smallest_difference(maps: npt.NDArray[np.floating]) -> float:
    """How much the two most alike of some feature maps differ, by their largest value.

    Args:
      maps: of N samples, from 0, [N, H, W].

    Returns:
      The largest difference between values at the same place, for the pair for which it is the
      smallest; 0 where all maps are 0.

    >>> smallest_difference(np.array([0.0, 1.0, 4.0]).reshape(3, 1, 1))
    0.25
    """
    if not maps.any():
        return 0.0
    differences = np.abs(maps[:, None] - maps[None]).max(axis=(2, 3))
    pairs = differences[np.triu_indices(len(maps), 1)]
    return float(pairs.min() / maps.max())


def groups(found: Arrays) -> list[Group]:
    """The networks of each kind."""
    differences = {name: [smallest_difference(maps) for maps in found[name]] for name in NAMES}
    return [Group((name,), {DIFFERENCE: np.array(its)}) for name, its in differences.items()]


def summary(found: Arrays) -> Table:
    """How many networks tell the ten samples apart."""

    def count_blank(group: Group) -> int:
        return int((found[group.labels[0]] == 0).all(axis=(1, 2, 3)).sum())

    columns = {
        "networks": tables.label(0),
        "number": tables.count,
        "ten distinct maps": tables.figure_of(DIFFERENCE, lambda its: (its > DISTINCT).sum()),
        "all maps zero": count_blank,
        "median difference": tables.figure_of(DIFFERENCE),
    }
    return tables.summarize(groups(found), columns)


def judge(found: Arrays) -> dict[str, Any]:
    """Whether the maps are distinct."""
    kinds = {name: is_most(figures[DIFFERENCE] > DISTINCT) for (name,), figures in groups(found)}
    return {"distinct": DISTINCT, **kinds}


def draw(found: Arrays, folder: Path) -> None:
    """The samples, and below them the maps of the network that is the median of its kind."""
    images = found["images"]
    factor = images.shape[1] // found["random"].shape[2]
    lines = [("samples", (images - images.min()) / np.ptp(images))]
    for (name,), figures in groups(found):
        values = figures[DIFFERENCE]
        able = np.flatnonzero(values > DISTINCT)
        order = able if len(able) else np.arange(len(values))
        maps = found[name][order[np.argsort(values[order])[len(order) // 2]]]
        shown = (maps / max(maps.max(), 1e-9)).repeat(factor, 1).repeat(factor, 2)
        lines.append((f"{name} network", shown))
    pictures.draw_rows(folder / "fig1", lines, low=0, high=1)


FIGURE1 = Experiment(
    name="fig1",
    full={"networks": 1_000, "seeds": 10, "generations": 1_000},
    quick={"networks": 200, "seeds": 4, "generations": 200},
    measure=measure,
    groups=groups,
    columns=("networks", "network"),
    summary=summary,
    judge=judge,
    draw=draw,
)
