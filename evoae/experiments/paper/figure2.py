"""Fig. 2: one sample, as it takes shape."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evoae import data
from evoae.engine.many_runs import evolve_runs
from evoae.experiments.paper.experiment import Experiment, Table
from evoae.experiments.paper.parts import Arrays, Parts
from evoae.experiments.paper.pictures import image_rows, median_run, save_both
from evoae.experiments.paper.verdicts import Claim, Statement, share, smaller, spread
from evoae.runs.config import PRESETS
from evoae.runs.task import first_state, prepare

EVERY = 5  # generations from one frame to the next
COLUMNS, SHOWN = 10, 60  # frames in a row, and in all, of the picture


class Budget(NamedTuple):
    """How much is measured."""

    seeds: int
    generations: int


def measure(budget: Budget, parts: Parts) -> Arrays:
    """The best output of every fifth generation, of each run."""
    task = prepare(PRESETS["paper-one"])
    target = data.scale(task.images, task.config.data.low, task.config.data.high)

    def evolve() -> Arrays:
        begun = [
            first_state(dataclasses.replace(task.config, seed=seed), task.model, task.images)
            for seed in range(budget.seeds)
        ]
        keys, states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *begun)
        apply: Any = task.model.apply
        draw = jax.jit(jax.vmap(lambda state: apply(state.best, target)[0, ..., 0]))
        frames = [draw(states)]
        for _ in range(budget.generations // EVERY):
            states, _ = evolve_runs(
                *(keys, task.config.strategy, task.fitness, task.images, states),
                num_generations=EVERY,
                block_size=EVERY,
            )
            frames.append(draw(states))
        return {"frames": np.stack(frames, axis=1)}

    found = parts.kept("frames", evolve)
    frames, image = found["frames"], np.asarray(target)[0, ..., 0]
    black = float(np.abs(image - task.config.data.low).mean())
    return {"target": image, "error": np.abs(frames - image).mean((2, 3)), "black": black, **found}


def rows(found: Arrays) -> Table:
    """A row a frame."""
    return Table(
        ("seed", "generation", "error"),
        [
            (seed, EVERY * frame, float(error))
            for (seed, frame), error in np.ndenumerate(found["error"])
        ],
    )


def summary(found: Arrays) -> Table:
    """The errors at some generations."""
    errors, last = found["error"], found["error"].shape[1] - 1
    frames = sorted({frame for frame in (0, 1, 4, 20, 60, last) if frame <= last})
    lines = []
    for frame in frames:
        its = errors[:, frame]
        below = int((its < found["black"]).sum())
        spread_of = float(its.min()), float(np.median(its)), float(its.max())
        lines.append((EVERY * frame, *spread_of, below, len(its)))
    columns = ("generation", "best error", "median", "worst", "below black", "of")
    return Table(columns, lines)


def claims(found: Arrays) -> list[Claim]:
    """That the sample appears."""
    errors, black = found["error"], float(found["black"])
    end, start = errors[:, -1], errors[:, 0]
    generations = EVERY * (errors.shape[1] - 1)
    return [
        Claim(
            "one sample takes shape within some hundred generations",
            (
                Statement(
                    "the error is smaller at the end than at the start (Mann-Whitney test over "
                    "seeds, p < 0.05)",
                    f"{spread(end)} after {generations:,} generations, {spread(start)} before",
                    smaller(end, start),
                ),
                Statement(
                    f"most runs end below the error of a black image, {black:.4f}",
                    share(end < black),
                    bool((end < black).mean() > 0.5),
                ),
            ),
        )
    ]


def draw(found: Arrays, folder: Path) -> None:
    """The target, the first frames of the run at the median, and its last one."""
    errors = found["error"]
    run = median_run(errors[:, -1])
    places = list(range(errors.shape[1]))
    places = places[: SHOWN - 2] + places[SHOWN - 2 :][-1:]
    frames = [found["target"], *found["frames"][run][places]]
    captions = ["target", *(f"{EVERY * place:,}" for place in places)]
    starts = range(0, len(frames), COLUMNS)
    figure = image_rows(
        [np.array(frames[start : start + COLUMNS]) for start in starts],
        [""] * len(starts),
        captions=[captions[start : start + COLUMNS] for start in starts],
        low=0.1,
        high=0.9,
    )
    save_both(figure, folder / "fig2")


FIGURE2 = Experiment(
    name="fig2",
    title="Fig. 2: the stages of evolution",
    paper="One sample, and what the best network draws, a frame every five generations: noise at "
    "first, then a rough shape that becomes the digit.",
    method="The preset `paper-one`: ten agents, ten mutated weights, the first zero of MNIST (the "
    "paper does not name its sample). The picture shows the first frames of the run at the "
    "median, and at its end the last one; the number below a frame is its generation. Errors are "
    "mean absolute errors per pixel, in 0.1 to 0.9.",
    pictures=(("fig2", "One sample, a frame every five generations."),),
    full=Budget(seeds=10, generations=1_000),
    quick=Budget(seeds=4, generations=1_000),
    measure=measure,
    rows=rows,
    summary=summary,
    claims=claims,
    draw=draw,
)
