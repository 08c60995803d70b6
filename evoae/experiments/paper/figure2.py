"""Fig. 2: one sample, as it takes shape."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evoae.engine.many_runs import evolve_runs
from evoae.experiments.paper.harness import pictures, tables
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts
from evoae.experiments.paper.harness.statements import Finding, is_most, smaller, spread
from evoae.experiments.paper.harness.steps import run_steps
from evoae.experiments.paper.harness.tables import Group, Table
from evoae.models.compiled import applied
from evoae.runs.config import PRESETS
from evoae.runs.task import first_state, prepare

EVERY = 5  # generations from one frame to the next
COLUMNS, SHOWN = 10, 60  # frames in a row, and in all, of the picture
IN_TABLE = (0, 1, 4, 20, 60)  # frames, beside the last one


def measure(parts: Parts, *, seeds: int, generations: int) -> Arrays:
    """The best output of every fifth generation, of each run."""
    task = prepare(PRESETS["paper-one"])
    target = task.pixels()
    draw = jax.jit(jax.vmap(lambda state: applied(task.model, state.best, target)[0, ..., 0]))

    def evolve() -> Arrays:
        begun = [
            first_state(dataclasses.replace(task.config, seed=seed), task.model, task.images)
            for seed in range(seeds)
        ]
        keys, states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *begun)

        frames = [draw(states)]

        def reach_next_frame(states: Any) -> Any:
            states, _ = evolve_runs(
                *(keys, task.config.strategy, task.fitness, task.images, states),
                num_generations=EVERY,
                block_size=EVERY,
            )
            frames.append(draw(states))
            return states

        run_steps(reach_next_frame, states, generations // EVERY)
        return {"frames": np.stack(frames, axis=1)}

    found = parts.kept("frames", evolve)
    frames, image = found["frames"], target[0, ..., 0]
    black = np.abs(image - task.config.data.low).mean()
    return {"target": image, "error": np.abs(frames - image).mean((2, 3)), "black": black, **found}


def groups(found: Arrays) -> list[Group]:
    """The frames of the same generation."""
    errors = found["error"]
    return [Group((EVERY * i,), {"error": errors[:, i]}) for i in range(errors.shape[1])]


def summary(found: Arrays) -> Table:
    """The errors at some generations."""
    frames = groups(found)
    columns = {
        "generation": tables.label(0),
        **tables.spread_of("error"),
        "below black": tables.figure_of("error", lambda its: (its < found["black"]).sum()),
        "of": tables.count,
    }
    shown = [i for i in sorted({*IN_TABLE, len(frames) - 1}) if i < len(frames)]
    return tables.summarize([frames[i] for i in shown], columns)


def judge(found: Arrays) -> dict[str, Any]:
    """Whether the sample appears."""
    errors, black = found["error"], float(found["black"])
    end, start = errors[:, -1], errors[:, 0]
    generations = EVERY * (errors.shape[1] - 1)
    figures = f"{spread(end)} after {generations:,} generations, {spread(start)} before"
    return {
        "falls": Finding(figures, smaller(end, start)),
        "beats_black": is_most(end < black),
        "black": black,
    }


def draw(found: Arrays, folder: Path) -> None:
    """The target, the first frames of the run at the median, and its last one."""
    errors = found["error"]
    places = list(range(errors.shape[1]))
    places = places[: SHOWN - 2] + places[SHOWN - 2 :][-1:]
    frames = [found["target"], *found["frames"][pictures.median_run(errors[:, -1])][places]]
    captions = ["target", *(f"{EVERY * place:,}" for place in places)]
    starts = range(0, len(frames), COLUMNS)
    pictures.draw_rows(
        folder / "fig2",
        [("", np.array(frames[start : start + COLUMNS])) for start in starts],
        captions=[captions[start : start + COLUMNS] for start in starts],
    )


FIGURE2 = Experiment(
    name="fig2",
    full={"seeds": 10, "generations": 1_000},
    quick={"seeds": 4, "generations": 1_000},
    measure=measure,
    groups=groups,
    columns=("generation", "seed"),
    summary=summary,
    judge=judge,
    draw=draw,
)
