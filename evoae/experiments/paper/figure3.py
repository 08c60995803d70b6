"""Fig. 3: ten samples, with one mutated weight and with ten."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evoae import data
from evoae.experiments.paper.experiment import Experiment, Table
from evoae.experiments.paper.parts import Arrays, Parts, of_networks
from evoae.experiments.paper.pictures import image_rows, median_run, save_both
from evoae.experiments.paper.verdicts import Claim, Statement, smaller, spread
from evoae.fitness.baselines import compute_diversity
from evoae.report.words import COLLAPSED
from evoae.runs.config import PRESETS
from evoae.runs.task import Task, prepare

NUM_WEIGHTS = (1, 10)


class Budget(NamedTuple):
    """How much is measured."""

    seeds: int
    generations: int


def measure(budget: Budget, parts: Parts) -> Arrays:
    """The outputs of the best networks."""
    config = dataclasses.replace(PRESETS["paper-ten"], num_generations=budget.generations)
    found = parts.sweep(
        "num-weights", config, {"mutation.num_weights": NUM_WEIGHTS}, seeds=budget.seeds
    )
    task = prepare(config)
    images = np.asarray(data.scale(task.images, config.data.low, config.data.high))
    return {
        "images": images,
        "outputs": outputs_of(task, images, found["weights"]),
        "error": found["error"],
        "seconds": found["seconds"],
    }


def outputs_of(task: Task, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What networks, weights [*V, D], make of images [N, H, W, C]; [*V, N, H, W, C]."""
    apply: Any = task.model.apply
    return of_networks(task, lambda params: apply(params, images), weights)


def diversities(outputs: np.ndarray, images: np.ndarray) -> np.ndarray:
    """`evoae.fitness.compute_diversity` of outputs [*V, N, H, W, C]; [*V]."""
    found = [compute_diversity(its, images) for its in outputs.reshape(-1, *images.shape)]
    return np.array(found).reshape(outputs.shape[: -images.ndim])


def rows(found: Arrays) -> Table:
    """A row a run."""
    its = diversities(found["outputs"], found["images"])
    return Table(
        ("num_weights", "seed", "error", "diversity", "seconds"),
        [
            (
                *(NUM_WEIGHTS[i], seed, float(error)),
                *(float(its[i, seed]), float(found["seconds"][i, seed])),
            )
            for (i, seed), error in np.ndenumerate(found["error"])
        ],
    )


def summary(found: Arrays) -> Table:
    """Errors and diversities over the seeds."""
    its = diversities(found["outputs"], found["images"])
    lines = []
    for number, errors, spreads in zip(NUM_WEIGHTS, found["error"], its, strict=True):
        of_errors = float(errors.min()), float(np.median(errors)), float(errors.max())
        of_spreads = float(np.median(spreads)), float(spreads.max())
        lines.append((number, len(errors), *of_errors, *of_spreads))
    columns = ("mutated weights", "seeds", "best error", "median", "worst")
    return Table((*columns, "diversity (median)", "diversity (most)"), lines)


def claims(found: Arrays) -> list[Claim]:
    """That ten mutated weights give one image, and one mutated weight does not."""
    one, ten = diversities(found["outputs"], found["images"])
    return [
        Claim(
            "with ten mutated weights all outputs become one image, with one they differ",
            (
                Statement(
                    "ten weights: outputs differ from each other by less than "
                    f"{COLLAPSED:.0%} of what the digits do (median over seeds)",
                    spread(ten, ".3f"),
                    bool(np.median(ten) < COLLAPSED),
                ),
                Statement(
                    f"one weight: they differ by more than {COLLAPSED:.0%} (median over seeds)",
                    spread(one, ".3f"),
                    bool(np.median(one) > COLLAPSED),
                ),
                Statement(
                    "outputs differ less with ten weights than with one (Mann-Whitney test over "
                    "seeds, p < 0.05)",
                    f"{np.median(ten):.3f} against {np.median(one):.3f}",
                    smaller(ten, one),
                ),
            ),
        )
    ]


def draw(found: Arrays, folder: Path) -> None:
    """The targets, and for each number of weights the outputs of the run at the median error."""
    lines, names = [found["images"][..., 0]], ["target"]
    for number, errors, outputs in zip(NUM_WEIGHTS, found["error"], found["outputs"], strict=True):
        run = median_run(errors)
        lines.append(outputs[run, ..., 0])
        names.append(f"{number} weight{'s' * (number > 1)}, error {errors[run]:.3f}")
    save_both(image_rows(lines, names, low=0.1, high=0.9), folder / "fig3")


FIGURE3 = Experiment(
    name="fig3",
    title="Fig. 3: ten samples, one mutated weight against ten",
    paper="Ten digits, 1,000 generations. With one mutated weight the outputs differ a little from "
    "digit to digit; with ten all of them become the same average image.",
    method="The preset `paper-ten` (20 agents) with one and with ten mutated weights. Diversity is "
    "how much the outputs differ from each other, as a share of how much the digits do: the mean "
    "absolute difference over all pairs. It is 0 when all outputs are one image, near 1 for "
    "faithful ones. The picture shows the runs at the median error.",
    pictures=(("fig3", "Targets, and what the best networks make of them."),),
    full=Budget(seeds=10, generations=1_000),
    quick=Budget(seeds=4, generations=1_000),
    measure=measure,
    rows=rows,
    summary=summary,
    claims=claims,
    draw=draw,
)
