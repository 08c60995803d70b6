"""Fig. 3: ten samples, with one mutated weight and with ten."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from evoae.experiments.paper.harness import networks, pictures, tables
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts
from evoae.experiments.paper.harness.statements import Finding, is_median, smaller
from evoae.experiments.paper.harness.tables import Group, Table
from evoae.report.words import COLLAPSED
from evoae.runs.config import PRESETS
from evoae.runs.task import prepare

NUM_WEIGHTS = (1, 10)


def measure(parts: Parts, *, seeds: int, generations: int) -> Arrays:
    """The outputs of the best networks."""
    config = dataclasses.replace(PRESETS["paper-ten"], num_generations=generations)
    settings = {"mutation.num_weights": NUM_WEIGHTS}
    found = parts.sweep("num-weights", config, settings, seeds=seeds)
    task = prepare(config)
    images = task.pixels()
    return {
        "images": images,
        "outputs": networks.compute_outputs(task, images, found["weights"]),
        "error": found["error"],
        "seconds": found["seconds"],
    }


def groups(found: Arrays) -> list[Group]:
    """The runs with each number of weights."""
    figures = {
        "error": found["error"],
        "diversity": networks.compute_diversities(found["outputs"], found["images"]),
        "seconds": found["seconds"],
    }
    return [
        Group((number,), {name: its[i] for name, its in figures.items()})
        for i, number in enumerate(NUM_WEIGHTS)
    ]


def summary(found: Arrays) -> Table:
    """Errors and diversities over the seeds."""
    columns = {
        "mutated weights": tables.label(0),
        "seeds": tables.count,
        **tables.spread_of("error"),
        "diversity (median)": tables.figure_of("diversity"),
        "diversity (most)": tables.figure_of("diversity", np.max),
    }
    return tables.summarize(groups(found), columns)


def judge(found: Arrays) -> dict[str, Any]:
    """Whether ten mutated weights give one image, and one mutated weight does not."""
    one, ten = networks.compute_diversities(found["outputs"], found["images"])
    figures = f"{np.median(ten):.3f} against {np.median(one):.3f}"
    return {
        "ten_alike": is_median(ten, ".3f", below=COLLAPSED),
        "one_differs": is_median(one, ".3f", above=COLLAPSED),
        "ten_less": Finding(figures, smaller(ten, one)),
    }


def draw(found: Arrays, folder: Path) -> None:
    """The targets, and for each number of weights the outputs of the run at the median error."""
    lines = [("target", found["images"][..., 0])]
    for number, errors, outputs in zip(NUM_WEIGHTS, found["error"], found["outputs"], strict=True):
        run = pictures.median_run(errors)
        name = f"{number} weight{'s' * (number > 1)}, error {errors[run]:.3f}"
        lines.append((name, outputs[run, ..., 0]))
    pictures.draw_rows(folder / "fig3", lines)


FIGURE3 = Experiment(
    name="fig3",
    full={"seeds": 10, "generations": 1_000},
    quick={"seeds": 4, "generations": 1_000},
    measure=measure,
    groups=groups,
    columns=("num_weights", "seed"),
    summary=summary,
    judge=judge,
    draw=draw,
)
