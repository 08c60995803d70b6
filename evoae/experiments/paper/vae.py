"""A variational autoencoder: evolved, and trained by Adam in the same time."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evoae import data
from evoae.experiments.paper.experiment import Experiment, Table
from evoae.experiments.paper.figure3 import diversities
from evoae.experiments.paper.figure4 import NUM_STARTS, TUNING_TIME
from evoae.experiments.paper.parts import Arrays, Parts
from evoae.experiments.paper.pictures import image_rows, median_run, save_both
from evoae.experiments.paper.verdicts import Claim, Statement, smaller, spread
from evoae.fitness.baselines import compute_baselines
from evoae.models.compiled import applied
from evoae.runs.compared_methods import (
    Trained,
    train_by_adam,
    train_by_evolution,
    tune_learning_rate,
)
from evoae.runs.config import PRESETS
from evoae.runs.measuring import Evidence, draw_prior_samples, measure_evidence
from evoae.runs.task import Task, prepare
from evoae.trees import take

EVOLVED, ADAM = "evolution", "adam"
NAMES = {EVOLVED: "evolution", ADAM: "Adam"}
NUM_SAMPLES = 10
INFORMED = 1.0  # nats of divergence above which a latent tells something of its image


class Budget(NamedTuple):
    """How much is measured."""

    seeds: int
    generations: int


def measure(budget: Budget, parts: Parts) -> Arrays:
    """Each run of the strategy; then Adam, eight starts, for as long as the middle one took."""
    config = PRESETS["vae"].fitted_to(budget.generations)
    task = prepare(config)
    images = np.asarray(data.scale(task.images, config.data.low, config.data.high))
    found: Arrays = {"images": images}

    def keep(name: str, train: Callable[[], Trained]) -> Arrays:
        def judge() -> Arrays:
            trained = train()
            its = [take(trained.networks, i) for i in range(trained.errors.shape[1])]
            return {
                "parts": np.array(
                    [measure_evidence(task.reconstruction, one, task.images) for one in its]
                ),
                "outputs": np.array([applied(task.model, one, images) for one in its]),
                "samples": np.array([draw_prior_samples(task, one, NUM_SAMPLES) for one in its]),
                "seconds": trained.seconds[-1:],
            }

        return parts.kept(name, judge)

    runs = []
    for seed in range(budget.seeds):
        begin = prepare(dataclasses.replace(config, seed=seed))
        runs.append(
            keep(f"{EVOLVED}-{seed}", functools.partial(train_by_evolution, begin, parts.bar()))
        )
    seconds = float(np.median([run["seconds"] for run in runs]))
    by_adam = keep(f"{ADAM}-0", functools.partial(_adam, task, seconds, parts))
    for way, its in ((EVOLVED, runs), (ADAM, [by_adam])):
        found |= {f"{way}/{key}": np.concatenate([run[key] for run in its]) for key in its[0]}
    return found


def _adam(task: Task, seconds: float, parts: Parts) -> Trained:
    rate = tune_learning_rate(task, TUNING_TIME * seconds, parts.bar())
    return train_by_adam(task, NUM_STARTS, rate, seconds, parts.bar())


def _bounds(found: Arrays, way: str) -> np.ndarray:
    """Negative evidence lower bounds of an image, in nats; infinite for a broken network."""
    return np.nan_to_num(found[f"{way}/parts"].sum(axis=1), nan=np.inf)


def _mean_image(found: Arrays) -> float:
    """The negative bound of a decoder that draws the mean image, with an idle latent."""
    images = found["images"]
    return images[0].size * compute_baselines(images, error="bce")["mean image"]


def rows(found: Arrays) -> Table:
    """A row a network."""
    lines = []
    for way in NAMES:
        spreads = _diversities(found, way)
        for start, (parts, its) in enumerate(zip(found[f"{way}/parts"], spreads, strict=True)):
            lines.append((way, start, *map(float, parts), float(its)))
    return Table(("way", "start", *Evidence._fields, "diversity"), lines)


def _diversities(found: Arrays, way: str) -> np.ndarray:
    return diversities(np.nan_to_num(found[f"{way}/outputs"]), found["images"])


def summary(found: Arrays) -> Table:
    """The bounds, their parts in the median, and what the mean image has."""
    lines: list[tuple[object, ...]] = []
    for way, name in NAMES.items():
        bounds, parts = -_bounds(found, way), np.median(found[f"{way}/parts"], axis=0)
        of_bounds = float(bounds.max()), float(np.median(bounds)), float(bounds.min())
        ends = float(np.median(_diversities(found, way))), float(np.median(found[f"{way}/seconds"]))
        lines.append((name, len(bounds), *of_bounds, *map(float, parts), *ends))
    mean = _mean_image(found)
    lines.append(("mean image", None, None, -mean, None, mean, 0.0, 0.0, None))
    columns = ("", "starts", "best bound", "median", "worst", *Evidence._fields)
    return Table((*columns, "diversity", "seconds"), lines)


def claims(found: Arrays) -> list[Claim]:
    """That evolution trains a variational autoencoder, and how near it comes to Adam."""
    ours, adam = (_bounds(found, way) for way in NAMES)
    divergences, mean = found[f"{EVOLVED}/parts"][:, 1], _mean_image(found)
    return [
        Claim(
            "evolution trains a variational autoencoder",
            (
                Statement(
                    "its evidence lower bound is above that of the mean image, "
                    f"{-mean:.1f} nats (median over seeds)",
                    spread(-ours, ".1f"),
                    bool(np.median(ours) < mean),
                ),
                Statement(
                    f"the latent tells more than {INFORMED:g} nat of an image (median over seeds)",
                    spread(divergences, ".2f"),
                    bool(np.median(divergences) > INFORMED),
                ),
            ),
        ),
        Claim(
            "it comes to the bound that Adam comes to in the same time",
            (
                Statement(
                    "bounds by Adam are not above those by evolution (Mann-Whitney test over "
                    "seeds, p < 0.05)",
                    f"{spread(-adam, '.1f')} against {spread(-ours, '.1f')}",
                    not smaller(adam, ours),
                ),
            ),
        ),
    ]


def draw(found: Arrays, folder: Path) -> None:
    """Reconstructions and samples from the prior, of the run of each way at the median bound."""
    lines, names = [found["images"][..., 0]], ["target"]
    for way, name in NAMES.items():
        run = median_run(_bounds(found, way))
        lines += [found[f"{way}/{key}"][run, ..., 0] for key in ("outputs", "samples")]
        names += [f"{name}, of the mean", "from the prior"]
    save_both(image_rows(lines, names, low=0, high=1), folder / "vae")


VAE = Experiment(
    name="vae",
    title="A variational autoencoder",
    paper="A variational autoencoder is named among what to try next.",
    method="The preset `vae`: the paper's layers with a Gaussian latent of two values, the "
    "evidence lower bound for Bernoulli pixels, ten digits in 0 to 1. Then Adam with the same "
    "network, eight starts side by side, in the time that the strategy took. Bounds are in nats "
    "an image, by the noise of one key that neither has learnt from. A decoder that draws the "
    "mean image whatever the latent, which then tells nothing, has the bound of the mean image. "
    "The picture shows, of the runs at the median, what becomes of the mean of each latent, and "
    "what is drawn from the prior.",
    pictures=(("vae", "Targets; reconstructions, and samples from the prior, by both ways."),),
    full=Budget(seeds=3, generations=6_000),
    quick=Budget(seeds=2, generations=60),
    measure=measure,
    rows=rows,
    summary=summary,
    claims=claims,
    draw=draw,
)
