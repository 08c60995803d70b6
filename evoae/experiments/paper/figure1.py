"""Fig. 1: what convolution and pooling make of ten samples."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae import data, trees
from evoae.experiments.paper.experiment import Experiment, Table
from evoae.experiments.paper.parts import Arrays, Parts, of_networks
from evoae.experiments.paper.pictures import image_rows, save_both
from evoae.experiments.paper.verdicts import Claim, Statement, share
from evoae.models.compiled import random_networks
from evoae.runs.config import PRESETS
from evoae.runs.task import prepare
from evoae.types import Params

LAYER = "encoder/3_MaxPool"  # the last one in front of the dense layers: 4x4 values
DISTINCT = 0.01  # of the largest value in all maps


class Budget(NamedTuple):
    """How much is measured."""

    networks: int
    seeds: int
    generations: int


def measure(budget: Budget, parts: Parts) -> Arrays:
    """The maps of random networks, and of networks that were evolved with the paper's settings."""
    config = dataclasses.replace(PRESETS["paper-ten"], num_generations=budget.generations)
    task = prepare(config)
    images = data.scale(task.images, config.data.low, config.data.high)

    def maps(params: Params) -> jax.Array:
        return task.model.activations(params, jnp.asarray(images))[LAYER][..., 0]

    networks = random_networks(jax.random.key(config.seed), task.model, images, budget.networks)
    random_weights = np.asarray(jax.vmap(trees.ravel)(networks))
    evolved = parts.sweep("evolved", config, {}, seeds=budget.seeds)
    return {
        "images": np.asarray(images[..., 0]),
        "random": of_networks(task, maps, random_weights),
        "evolved": of_networks(task, maps, evolved["weights"]),
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


def _differences(found: Arrays) -> dict[str, npt.NDArray[np.float64]]:
    return {
        name: np.array([smallest_difference(maps) for maps in found[name]])
        for name in ("random", "evolved")
    }


def rows(found: Arrays) -> Table:
    """A row a network."""
    return Table(
        ("networks", "network", "smallest_difference"),
        [
            (name, index, float(value))
            for name, values in _differences(found).items()
            for index, value in enumerate(values)
        ],
    )


def summary(found: Arrays) -> Table:
    """How many networks tell the ten samples apart."""
    lines = []
    for name, values in _differences(found).items():
        blank = (found[name] == 0).all(axis=(1, 2, 3))
        distinct = values > DISTINCT
        counts = int(distinct.sum()), int(blank.sum())
        lines.append((name, len(values), *counts, float(np.median(values))))
    columns = ("networks", "number", "ten distinct maps", "all maps zero", "median difference")
    return Table(columns, lines)


def claims(found: Arrays) -> list[Claim]:
    """That the maps are distinct."""
    words = {"random": "random networks", "evolved": "evolved networks"}
    statements = []
    for name, values in _differences(found).items():
        distinct = values > DISTINCT
        statements.append(
            Statement(
                f"in most {words[name]} any two of the ten maps differ somewhere by more than "
                f"{DISTINCT:.0%} of the largest value",
                share(distinct),
                bool(distinct.mean() > 0.5),
            )
        )
    return [
        Claim("the ten samples give ten distinct 4x4 feature maps", tuple(statements)),
    ]


def draw(found: Arrays, folder: Path) -> None:
    """The samples, and below them the maps of the network that is the median of its kind."""
    images = found["images"]
    factor = images.shape[1] // found["random"].shape[2]
    lines, names = [(images - images.min()) / np.ptp(images)], ["samples"]
    for name, values in _differences(found).items():
        able = np.flatnonzero(values > DISTINCT)
        order = able if len(able) else np.arange(len(values))
        middle = order[np.argsort(values[order])[len(order) // 2]]
        maps = found[name][middle]
        lines.append((maps / max(maps.max(), 1e-9)).repeat(factor, 1).repeat(factor, 2))
        names.append(f"{name} network")
    save_both(image_rows(lines, names, low=0, high=1), folder / "fig1")


FIGURE1 = Experiment(
    name="fig1",
    title="Fig. 1: ten feature maps",
    paper="Ten digits pass two convolutions, each followed by pooling; what is left of each are "
    "4x4 values, and the ten maps look distinct, so that the dense layers can tell the digits "
    "apart.",
    method="We compute these maps for random networks, with weights from U(-1, 1) as at the start "
    "of evolution, and for networks after evolution with the paper's settings. The kernels may "
    "well be negative all over, and then the rectifier leaves nothing: such a network cannot tell "
    "any digits apart until a mutation brings the kernel back. The picture shows the network at "
    "the median of those whose maps are distinct; white is the largest value of its ten maps.",
    pictures=(("fig1", "Samples, and their maps in a random and in an evolved network."),),
    full=Budget(networks=1_000, seeds=10, generations=1_000),
    quick=Budget(networks=200, seeds=4, generations=200),
    measure=measure,
    rows=rows,
    summary=summary,
    claims=claims,
    draw=draw,
)
