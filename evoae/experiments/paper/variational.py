"""A variational autoencoder: evolved, and trained by Adam in the same time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evoae.experiments.paper.harness import networks, pictures, tables
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts, prefixed
from evoae.experiments.paper.harness.networks import ADAM
from evoae.experiments.paper.harness.statements import is_larger, is_median
from evoae.experiments.paper.harness.tables import Cell, Group, Table
from evoae.fitness.baselines import compute_baselines
from evoae.models.compiled import applied
from evoae.runs.compared_methods import Trained
from evoae.runs.config import PRESETS
from evoae.runs.measuring import Evidence, draw_prior_samples, measure_evidence
from evoae.runs.task import prepare
from evoae.trees import take

EVOLVED = "evolution"
NAMES = {EVOLVED: "evolution", ADAM: "Adam"}
NUM_SAMPLES = 10
INFORMED = 1.0  # nats of divergence above which a latent tells something of its image


def measure(parts: Parts, *, seeds: int, generations: int) -> Arrays:
    """Each run of the strategy; then Adam, eight starts, for as long as the middle one took."""
    config = PRESETS["vae"].fitted_to(generations)
    task = prepare(config)
    images = task.pixels()

    def describe(trained: Trained) -> Arrays:
        its = [take(trained.networks, i) for i in range(trained.errors.shape[1])]
        evidence = [measure_evidence(task.reconstruction, one, task.images) for one in its]
        return {
            "parts": np.array(evidence),
            "outputs": np.array([applied(task.model, one, images) for one in its]),
            "samples": np.array([draw_prior_samples(task, one, NUM_SAMPLES) for one in its]),
            "seconds": trained.seconds[-1:],
        }

    found: Arrays = {"images": images}
    by_way = networks.train_beside_adam(EVOLVED, config, seeds, parts, describe)
    for way, runs in by_way.items():
        joined = {key: np.concatenate([run[key] for run in runs]) for key in runs[0]}
        found |= prefixed(way, joined)
    return found


def groups(found: Arrays) -> list[Group]:
    """The networks of each way: the parts of their bounds, and how much their outputs differ."""
    return [
        Group(
            (way,),
            {
                **dict(zip(Evidence._fields, found[f"{way}/parts"].T, strict=True)),
                "diversity": networks.compute_diversities(
                    np.nan_to_num(found[f"{way}/outputs"]), found["images"]
                ),
            },
        )
        for way in NAMES
    ]


def summary(found: Arrays) -> Table:
    """The bounds, their parts in the median, and what the mean image has."""

    def bound(reduce: Callable[[np.ndarray], Any]) -> Cell:
        return lambda group: float(reduce(-_bounds(found, group.labels[0])))

    columns = {
        "": lambda group: NAMES[group.labels[0]],
        "starts": tables.count,
        "best bound": bound(np.max),
        "median": bound(np.median),
        "worst": bound(np.min),
        **{name: tables.figure_of(name) for name in (*Evidence._fields, "diversity")},
        "seconds": lambda group: float(np.median(found[f"{group.labels[0]}/seconds"])),
    }
    table, mean = tables.summarize(groups(found), columns), _mean_image(found)
    constant = ("mean image", None, None, -mean, None, mean, 0.0, 0.0, None)
    return table._replace(rows=[*table.rows, constant])


def _bounds(found: Arrays, way: str) -> np.ndarray:
    """Negative evidence lower bounds of an image, in nats; infinite for a broken network."""
    return np.nan_to_num(found[f"{way}/parts"].sum(axis=1), nan=np.inf)


def _mean_image(found: Arrays) -> float:
    """The negative bound of a decoder that draws the mean image, with an idle latent."""
    images = found["images"]
    return images[0].size * compute_baselines(images, error="bce")["mean image"]


def judge(found: Arrays) -> dict[str, Any]:
    """Whether evolution trains a variational autoencoder, and how near it comes to Adam."""
    ours, adam = (-_bounds(found, way) for way in NAMES)
    mean = -_mean_image(found)
    return {
        "beats_mean_image": is_median(ours, ".1f", above=mean),
        "latent_tells": is_median(found[f"{EVOLVED}/parts"][:, 1], ".2f", above=INFORMED),
        "not_below_adam": is_larger(adam, ours, ".1f").denied,
        "mean_image": mean,
        "informed": INFORMED,
    }


def draw(found: Arrays, folder: Path) -> None:
    """Reconstructions and samples from the prior, of the run of each way at the median bound."""
    lines = [("target", found["images"][..., 0])]
    for way, name in NAMES.items():
        run = pictures.median_run(_bounds(found, way))
        lines.append((f"{name}, of the mean", found[f"{way}/outputs"][run, ..., 0]))
        lines.append(("from the prior", found[f"{way}/samples"][run, ..., 0]))
    pictures.draw_rows(folder / "vae", lines, low=0, high=1)


VAE = Experiment(
    name="vae",
    full={"seeds": 3, "generations": 6_000},
    quick={"seeds": 2, "generations": 60},
    measure=measure,
    groups=groups,
    columns=("way", "start"),
    summary=summary,
    judge=judge,
    draw=draw,
)
