"""Fig. 4: the long run; then the same evaluations spent by our default strategy, beside Adam."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from evoae import data
from evoae.experiments.paper.experiment import Experiment, Table
from evoae.experiments.paper.figure3 import diversities
from evoae.experiments.paper.parts import Arrays, Parts
from evoae.experiments.paper.pictures import image_rows, median_run, save_both
from evoae.experiments.paper.verdicts import Claim, Statement, spread
from evoae.fitness import Reconstruction
from evoae.fitness.baselines import compute_baselines
from evoae.models.compiled import applied
from evoae.report.comparison import Course, draw_comparison
from evoae.report.words import COLLAPSED, ERROR_NAMES
from evoae.runs.compared_methods import (
    Trained,
    train_by_adam,
    train_by_evolution,
    tune_learning_rate,
)
from evoae.runs.config import PRESETS, RunConfig
from evoae.runs.task import Task, prepare

PAPER, OURS, ADAM = "paper", "default", "adam"
NAMES = {PAPER: "the paper's search", OURS: "evoae's default", ADAM: "Adam"}
NUM_STARTS = 8  # of Adam, side by side
TUNING_TIME = 0.1  # of Adam's time, for its learning rate
SLIGHT = 0.5  # the diversity below which outputs differ only slightly
NUM_IMAGES = 10
POINTS = 300  # of a long run's errors that are kept


class Budget(NamedTuple):
    """How much is measured; evaluations of the default strategy follow from the generations."""

    seeds: int
    generations: int


def measure(budget: Budget, parts: Parts) -> Arrays:
    """The long runs, which are resumed; each run of the default strategy; Adam for as long."""
    paper = dataclasses.replace(PRESETS["paper-ten"], num_generations=budget.generations)
    task = prepare(paper)
    images = np.asarray(data.scale(task.images, paper.data.low, paper.data.high))
    reconstruct = jax.vmap(functools.partial(applied, task.model), (0, None))
    found = {"images": images}

    def keep(name: str, train: Callable[[], Trained]) -> Arrays:
        def measure() -> Arrays:
            networks, *courses = train()
            outputs = np.asarray(reconstruct(networks, images))
            return dict(zip(Trained._fields[1:], courses, strict=True)) | {"outputs": outputs}

        its = parts.kept(name, measure)
        found.update({f"{name}/{key}": array for key, array in its.items()})
        return its

    for seed in range(budget.seeds):
        config = dataclasses.replace(paper, seed=seed)
        keep(f"{PAPER}-{seed}", functools.partial(_long_run, parts, f"{PAPER}-run-{seed}", config))

    ours = same_evaluations(PRESETS["digits10"], budget.generations * task.population_size)
    times = []
    for seed in range(budget.seeds):
        begin = prepare(dataclasses.replace(ours, seed=seed))
        trained = keep(
            f"{OURS}-{seed}",
            functools.partial(train_by_evolution, begin, parts.bar(), task.reconstruction),
        )
        times.append(float(trained["seconds"][-1]))

    keep(
        f"{ADAM}-0",
        functools.partial(
            _adam, prepare(ours), float(np.median(times)), parts, task.reconstruction
        ),
    )
    return found


def same_evaluations(config: RunConfig, evaluations: int) -> RunConfig:
    """A preset, fitted to a number of candidates that are evaluated in all.

    >>> same_evaluations(PRESETS["digits10"], 735_000 * 20).num_generations
    57421
    """
    population_size = config.strategy.population_size
    return config.fitted_to(max(evaluations // population_size, 1))


def _long_run(parts: Parts, name: str, config: RunConfig) -> Trained:
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


def _adam(task: Task, seconds: float, parts: Parts, judge: Reconstruction) -> Trained:
    """Adam, with the learning rate that did best in short runs, which do not count."""
    rate = tune_learning_rate(task, TUNING_TIME * seconds, parts.bar())
    return train_by_adam(task, NUM_STARTS, rate, seconds, parts.bar(), judge)


def _runs(found: Arrays, way: str) -> list[Arrays]:
    """The runs of one way of training, in the order of their seeds."""
    runs: list[Arrays] = []
    while f"{way}-{len(runs)}/errors" in found:
        start = f"{way}-{len(runs)}/"
        runs.append({k.removeprefix(start): v for k, v in found.items() if k.startswith(start)})
    return runs


def _ends(found: Arrays, way: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Last errors, outputs and diversities of all networks of one way of training."""
    runs = _runs(found, way)
    errors = np.concatenate([run["errors"][-1] for run in runs])
    outputs = np.concatenate([run["outputs"] for run in runs])
    finite = np.isfinite(outputs).all(axis=(1, 2, 3, 4))
    outputs = np.where(finite[:, None, None, None, None], outputs, 0)
    return errors, outputs, diversities(outputs, found["images"])


def rows(found: Arrays) -> Table:
    """A row a network."""
    lines = []
    for way in NAMES:
        errors, _, spreads = _ends(found, way)
        runs = _runs(found, way)
        for index, (error, its) in enumerate(zip(errors, spreads, strict=True)):
            run = runs[0 if way == ADAM else index]
            cost = int(run["evaluations"][-1]), float(run["seconds"][-1])
            lines.append((way, index, float(error), float(its), *cost))
    return Table(("way", "start", "error", "diversity", "evaluations", "seconds"), lines)


def summary(found: Arrays) -> Table:
    """The ways of training, and constant images."""
    lines: list[tuple[object, ...]] = []
    for way, name in NAMES.items():
        errors, _, spreads = _ends(found, way)
        of_errors = float(errors.min()), float(np.median(errors)), float(errors.max())
        runs = _runs(found, way)
        evaluations = int(runs[0]["evaluations"][-1])
        seconds = float(np.median([run["seconds"][-1] for run in runs]))
        starts = len(errors)
        lines.append((name, starts, *of_errors, float(np.median(spreads)), evaluations, seconds))
    for name, error in _baselines(found).items():
        lines.append((name, None, None, error, None, None, None, None))
    columns = ("", "starts", "best error", "median", "worst", "diversity", "evaluations", "seconds")
    return Table(columns, lines)


def _baselines(found: Arrays) -> dict[str, float]:
    return compute_baselines(found["images"], error="mae", low=0.1, high=0.9)


def claims(found: Arrays) -> list[Claim]:
    """That the long run's outputs differ only slightly, and that this is not the end of it."""
    errors, _, spreads = _ends(found, PAPER)
    our_errors, _, our_spreads = _ends(found, OURS)
    median_image = _baselines(found)["median image"]
    return [
        Claim(
            "after the long run the outputs of the ten digits differ only slightly",
            (
                Statement(
                    f"they differ from each other by more than {COLLAPSED:.0%} of what the digits "
                    "do (median over seeds)",
                    spread(spreads, ".3f"),
                    bool(np.median(spreads) > COLLAPSED),
                ),
                Statement(
                    f"and by less than {SLIGHT:.0%} (median over seeds)",
                    spread(spreads, ".3f"),
                    bool(np.median(spreads) < SLIGHT),
                ),
            ),
        ),
        Claim(
            "genetic algorithms are not flexible enough for ten digits (the paper's conclusion)",
            (
                Statement(
                    "with the same evaluations evoae's default strategy does not reach a smaller "
                    "error in every one of its runs than the paper's search in any",
                    f"{spread(our_errors)} against {spread(errors)}",
                    not our_errors.max() < errors.min(),
                ),
                Statement(
                    f"its outputs differ only slightly, too (median diversity below {SLIGHT:.0%})",
                    spread(our_spreads, ".3f"),
                    bool(np.median(our_spreads) < SLIGHT),
                ),
                Statement(
                    "its error is not below that of the median image, "
                    f"{median_image:.4f} (median over seeds)",
                    spread(our_errors),
                    bool(np.median(our_errors) >= median_image),
                ),
            ),
        ),
    ]


def draw(found: Arrays, folder: Path) -> None:
    """The outputs of the runs at the median, and how the errors fell."""
    lines, names, courses = [found["images"][..., 0]], ["target"], []
    for way, name in NAMES.items():
        errors, outputs, _ = _ends(found, way)
        middle = median_run(errors)
        lines.append(outputs[middle, ..., 0])
        names.append(f"{name}, error {errors[middle]:.3f}")
        runs = _runs(found, way)
        run = runs[0 if way == ADAM else middle]
        cost = run["evaluations"], run["seconds"]
        if way == ADAM:
            courses.append(Course("Adam (best of 8)", *cost, run["errors"].min(axis=1)))
            courses.append(Course("Adam (median of 8)", *cost, np.median(run["errors"], axis=1)))
        else:
            courses.append(Course(name, *cost, run["errors"][:, 0]))
    save_both(image_rows(lines, names, low=0.1, high=0.9), folder / "fig4")
    path, known = folder / "fig4-courses.png", _baselines(found)
    figure = draw_comparison(path, courses, baselines=known, ylabel=ERROR_NAMES["mae"])
    save_both(figure, path.with_suffix(""))


FIGURE4 = Experiment(
    name="fig4",
    title="Fig. 4: the long run",
    paper="Ten digits, 20 agents, one mutated weight, twelve hours: the outputs differ only "
    "slightly from digit to digit, and the paper concludes that genetic algorithms are not "
    "flexible enough for autoencoders.",
    method="Twelve hours of the original program are about 735,000 generations. We run them with "
    "the preset `paper-ten`, from several seeds; then the strategy of the preset `digits10` with "
    "as many evaluations, and Adam, eight starts side by side, in the time that this took. Adam "
    "and the default strategy learn from Huber's error of logits; all errors below are mean "
    "absolute errors per pixel, in 0.1 to 0.9. An evaluation is of one network on one image; a "
    "gradient counts as three. The pictures show the runs at the median error.",
    pictures=(
        ("fig4", "Targets, and what the networks make of them."),
        ("fig4-courses", "How the errors fell, by evaluations and by seconds."),
    ),
    full=Budget(seeds=3, generations=735_000),
    quick=Budget(seeds=1, generations=3_000),
    measure=measure,
    rows=rows,
    summary=summary,
    claims=claims,
    draw=draw,
    quick_note="With 3,000 generations the paper's search has had a 245th of its evaluations, and "
    "as many are 234 generations of the default strategy, whose preset has 30,000: the second "
    "claim cannot be judged from that.",
)
