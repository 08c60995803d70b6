"""Fig. 4: the long run; then the same evaluations spent by probes of weights, beside Adam."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from evoae.experiments.paper.harness import networks, pictures, tables
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts, numbered, prefixed
from evoae.experiments.paper.harness.networks import ADAM, NUM_STARTS
from evoae.experiments.paper.harness.statements import Finding, against, is_median
from evoae.experiments.paper.harness.tables import Group, Table
from evoae.fitness.baselines import compute_baselines
from evoae.models.compiled import applied
from evoae.report.comparison import Course, draw_comparison
from evoae.report.words import COLLAPSED, ERROR_NAMES
from evoae.runs.compared_methods import Trained
from evoae.runs.config import PRESETS, RunConfig
from evoae.runs.task import prepare

PAPER, OURS = "paper", "default"
NAMES = {PAPER: "the paper's search", OURS: "evoae's probes", ADAM: "Adam"}
SLIGHT = 0.5  # the diversity below which outputs differ only slightly
NUM_IMAGES = 10
POINTS = 300  # of a long run's errors that are kept


def measure(parts: Parts, *, seeds: int, generations: int) -> Arrays:
    """The long runs, which are resumed; runs of the preset `probes`; Adam for as long as these.

    A run of the preset has as many evaluations as a long run.
    """
    paper = dataclasses.replace(PRESETS["paper-ten"], num_generations=generations)
    task = prepare(paper)
    images = task.pixels()
    reconstruct = jax.vmap(functools.partial(applied, task.model), (0, None))

    def describe(trained: Trained) -> Arrays:
        weights, *courses = trained
        outputs = np.asarray(reconstruct(weights, images))
        return dict(zip(Trained._fields[1:], courses, strict=True)) | {"outputs": outputs}

    def run_long(seed: int) -> Arrays:
        config = dataclasses.replace(paper, seed=seed)
        return describe(_run_long(parts, f"{PAPER}-run-{seed}", config))

    long = [
        parts.kept(f"{PAPER}-{seed}", functools.partial(run_long, seed)) for seed in range(seeds)
    ]
    ours = fit_to_evaluations(PRESETS["probes"], generations * task.population_size)
    by_way = {PAPER: long} | networks.train_beside_adam(
        *(OURS, ours, seeds, parts, describe), judge=task.reconstruction
    )
    found = {"images": images}
    for way, runs in by_way.items():
        for index, its in enumerate(runs):
            found |= prefixed(f"{way}-{index}", its)
    return found


def fit_to_evaluations(config: RunConfig, evaluations: int) -> RunConfig:
    """A preset, fitted to a number of candidates that are evaluated in all.

    >>> fit_to_evaluations(PRESETS["probes"], 735_000 * 20).num_generations
    57421
    """
    population_size = config.strategy.population_size
    return config.fitted_to(max(evaluations // population_size, 1))


def _run_long(parts: Parts, name: str, config: RunConfig) -> Trained:
    """A run of the paper's search, its errors thinned evenly on a logarithmic scale."""
    result = parts.run(name, config)
    errors = np.asarray(result.trace.best_fitness)
    steps = np.unique(np.geomspace(1, len(errors), POINTS).astype(int))
    evaluations = result.num_evaluations * NUM_IMAGES // len(errors)
    return Trained(
        networks=jax.tree.map(lambda leaf: leaf[None], result.state.best),
        evaluations=steps * evaluations,
        seconds=steps * result.seconds / len(errors),
        errors=errors[steps - 1, None].astype(np.float64),
    )


def groups(found: Arrays) -> list[Group]:
    """The networks of each way of training, as they are at the end."""
    return [Group((way,), _ends(found, way)) for way in NAMES]


def _ends(found: Arrays, way: str) -> Arrays:
    """Last errors, diversities and costs of all networks of one way of training."""
    runs = numbered(found, way)
    outputs = _outputs(found, way)
    costs = {
        name: np.repeat([run[name][-1] for run in runs], len(outputs) // len(runs))
        for name in ("evaluations", "seconds")
    }
    return {
        "error": np.concatenate([run["errors"][-1] for run in runs]),
        "diversity": networks.compute_diversities(outputs, found["images"]),
        **costs,
    }


def _outputs(found: Arrays, way: str) -> np.ndarray:
    """Of all networks of one way of training; 0 of one that broke."""
    outputs = np.concatenate([run["outputs"] for run in numbered(found, way)])
    finite = np.isfinite(outputs).all(axis=(1, 2, 3, 4), keepdims=True)
    return np.where(finite, outputs, 0)


def summary(found: Arrays) -> Table:
    """The ways of training, and constant images."""
    columns = {
        "": lambda its: NAMES[its.labels[0]],
        "starts": tables.count,
        **tables.spread_of("error"),
        "diversity": tables.figure_of("diversity"),
        "evaluations": tables.figure_of("evaluations", lambda its: its[0]),
        "seconds": tables.figure_of("seconds"),
    }
    table = tables.summarize(groups(found), columns)
    blank = [None] * 4
    constant = [(name, None, None, its, *blank) for name, its in _baselines(found).items()]
    return table._replace(rows=table.rows + constant)


def _baselines(found: Arrays) -> dict[str, float]:
    return compute_baselines(found["images"], error="mae", low=0.1, high=0.9)


def judge(found: Arrays) -> dict[str, Any]:
    """Whether the long run's outputs differ only slightly, and whether this is the end of it."""
    theirs, ours = (_ends(found, way) for way in (PAPER, OURS))
    median_image = _baselines(found)["median image"]
    no_better = not ours["error"].max() < theirs["error"].min()
    return {
        "differ": is_median(theirs["diversity"], ".3f", above=COLLAPSED),
        "slightly": is_median(theirs["diversity"], ".3f", below=SLIGHT),
        "no_better": Finding(against(ours["error"], theirs["error"]), no_better),
        "ours_slightly": is_median(ours["diversity"], ".3f", below=SLIGHT),
        "above_median_image": is_median(ours["error"], at_least=median_image),
        "slight": SLIGHT,
        "median_image": median_image,
    }


def draw(found: Arrays, folder: Path) -> None:
    """The outputs of the runs at the median, and how the errors fell."""
    lines, courses = [("target", found["images"][..., 0])], []
    for way, name in NAMES.items():
        errors, runs = _ends(found, way)["error"], numbered(found, way)
        middle = pictures.median_run(errors)
        lines.append((f"{name}, error {errors[middle]:.3f}", _outputs(found, way)[middle, ..., 0]))
        run = runs[0 if way == ADAM else middle]
        cost = run["evaluations"], run["seconds"]
        if way == ADAM:
            best, median = run["errors"].min(axis=1), np.median(run["errors"], axis=1)
            courses.append(Course(f"Adam (best of {NUM_STARTS})", *cost, best))
            courses.append(Course(f"Adam (median of {NUM_STARTS})", *cost, median))
        else:
            courses.append(Course(name, *cost, run["errors"][:, 0]))
    pictures.draw_rows(folder / "fig4", lines)
    path, known = folder / "fig4-courses.png", _baselines(found)
    figure = draw_comparison(path, courses, baselines=known, ylabel=ERROR_NAMES["mae"])
    pictures.save_both(figure, path)


FIGURE4 = Experiment(
    name="fig4",
    full={"seeds": 3, "generations": 735_000},
    quick={"seeds": 1, "generations": 3_000},
    measure=measure,
    groups=groups,
    columns=("way", "start"),
    summary=summary,
    judge=judge,
    draw=draw,
    quick_note="With 3,000 generations the paper's search has had a 245th of its evaluations, and "
    "as many are 234 generations of the preset `probes`, which has 30,000: the second "
    "claim cannot be judged from that.",
)
