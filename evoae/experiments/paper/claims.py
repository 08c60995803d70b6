"""The paper's claims about agents, mutated weights, their size, and crossover."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evoae import data
from evoae.crossovers import Uniform
from evoae.experiments.paper.claim_rules import all_claims
from evoae.experiments.paper.experiment import Experiment, Table
from evoae.experiments.paper.figure3 import diversities, outputs_of
from evoae.experiments.paper.parts import Arrays, Parts
from evoae.experiments.paper.pictures import save_both
from evoae.fitness.baselines import compute_baselines
from evoae.report.sensitivity import Setting, draw_heatmap, draw_sensitivity
from evoae.report.words import ERROR_NAMES
from evoae.runs.config import PRESETS, RunConfig, with_settings
from evoae.runs.task import prepare

AGENTS = 10  # of the paper's run with one sample
CROSSOVERS = ("one parent", "several, no crossover", "several, crossover")


class Budget(NamedTuple):
    """How much is measured.

    Attributes:
      seeds: runs of each kind.
      generations: of one digit with ten agents; runs with others have as many evaluations.
      agents: of the heat map, among them 10.
      mutated_weights: of the heat map, among them 10.
      more_agents: of the runs with equal generations, from 10.
      ten_generations: of the runs with ten digits.
      many_weights: of these, from 1, among them 10.
      scales: the sizes of mutations, among them 1.
    """

    seeds: int
    generations: int
    agents: tuple[int, ...]
    mutated_weights: tuple[int, ...]
    more_agents: tuple[int, ...]
    ten_generations: int
    many_weights: tuple[int, ...]
    scales: tuple[float, ...]


def measure(budget: Budget, parts: Parts) -> Arrays:
    """Sweeps: a grid of agents and weights, and one for each other claim."""
    seeds = budget.seeds
    one = dataclasses.replace(PRESETS["paper-one"], num_generations=budget.generations)
    ten = dataclasses.replace(PRESETS["paper-ten"], num_generations=budget.ten_generations)
    one_task, ten_task = prepare(one), prepare(ten)
    digit = np.asarray(data.scale(one_task.images, one.data.low, one.data.high))
    digits = np.asarray(data.scale(ten_task.images, ten.data.low, ten.data.high))
    black = compute_baselines(digit, error="mae", low=0.1, high=0.9)["black image"]
    evaluations = AGENTS * budget.generations

    grid = []
    for agents in budget.agents:
        length = max(1, evaluations // agents)
        its = with_settings(one, {"num_generations": length, "strategy.population_size": agents})
        weights = {"mutation.num_weights": budget.mutated_weights}
        grid.append(
            _ends(parts.sweep(f"agents-{agents}", its, weights, seeds=seeds), budget, black)
        )
    found = {f"grid_{key}": np.stack([its[key] for its in grid]) for key in grid[0]}

    more = parts.sweep(
        "more-agents", one, {"population_size": budget.more_agents}, seeds=budget.seeds
    )
    found |= {f"more_{key}": its for key, its in _ends(more, budget, black).items()}
    at = [max(1, evaluations // agents) for agents in budget.more_agents]
    traces = zip(more["best_fitness"], at, strict=True)
    found["more_equal"] = np.array(
        [trace[:, min(end, trace.shape[1]) - 1] for trace, end in traces]
    )

    many = parts.sweep(
        "many-weights", ten, {"mutation.num_weights": budget.many_weights}, seeds=seeds
    )
    scale = parts.sweep("scale", one, {"mutation.scale": budget.scales}, seeds=seeds)
    return found | {
        "black": np.array(black),
        "agents": np.array(budget.agents),
        "weights": np.array(budget.mutated_weights),
        "more_agents": np.array(budget.more_agents),
        "many_weights": np.array(budget.many_weights),
        "many_error": many["error"],
        "many_outputs": outputs_of(ten_task, digits, many["weights"]),
        "images": digits,
        "scales": np.array(budget.scales),
        "scale_error": scale["error"],
        "crossover_one": _crossed("crossover-one", one, parts, seeds),
        "crossover_ten": _crossed("crossover-ten", ten, parts, seeds),
    }


def _ends(sweep: Arrays, budget: Budget, black: float) -> Arrays:
    """What the claims need of runs, [*V, S] each.

    Returns:
      "error" at the end, "early" after the generations that ten agents have (or at the end, where
      that is before), "reached": seconds until the error was below `black`, infinite where it
      never was.
    """
    traces = sweep["best_fitness"]
    number = traces.shape[-1]
    below = traces < black
    seconds = (1 + below.argmax(axis=-1)) * sweep["seconds"] / number
    return {
        "error": sweep["error"],
        "early": traces[..., min(budget.generations, number) - 1],
        "reached": np.where(below.any(axis=-1), seconds, np.inf),
    }


def _crossed(name: str, config: RunConfig, parts: Parts, seeds: int) -> np.ndarray:
    """The errors of `CROSSOVERS`, [3, S]; a quarter of the agents are parents."""
    strategy: Any = config.strategy
    several = dataclasses.replace(strategy, num_elites=max(2, strategy.population_size // 4))
    crossed = dataclasses.replace(several, crossover=Uniform())
    found = parts.sweep(name, config, {"strategy": [strategy, several, crossed]}, seeds=seeds)
    return found["error"]


def _series(found: Arrays) -> list[tuple[str, str, np.ndarray, np.ndarray | None]]:
    """All runs, [S] at a time: the part, the setting, the errors, and diversities if any."""
    lines: list[tuple[str, str, np.ndarray, np.ndarray | None]] = []
    for (a, w), _ in np.ndenumerate(found["grid_error"][..., 0]):
        setting = f"{found['agents'][a]} agents, {found['weights'][w]} weights"
        lines.append(("equal evaluations", setting, found["grid_error"][a, w], None))
    for part, key in (("equal generations", "more_error"), ("equal evaluations", "more_equal")):
        for agents, errors in zip(found["more_agents"], found[key], strict=True):
            lines.append((part, f"{agents} agents", errors, None))
    its = diversities(found["many_outputs"], found["images"])
    for weights, errors, spreads in zip(
        found["many_weights"], found["many_error"], its, strict=True
    ):
        lines.append(("mutated weights", f"{weights}, ten digits", errors, spreads))
    for size, errors in zip(found["scales"], found["scale_error"], strict=True):
        lines.append(("size of mutations", f"U(-{size:g}, {size:g})", errors, None))
    for key, words in (("crossover_one", "one digit"), ("crossover_ten", "ten digits")):
        for name, errors in zip(CROSSOVERS, found[key], strict=True):
            lines.append((words, name, errors, None))
    return lines


def rows(found: Arrays) -> Table:
    """A row a run."""
    lines = []
    for part, setting, errors, spreads in _series(found):
        for seed, error in enumerate(errors):
            its = None if spreads is None else float(spreads[seed])
            lines.append((part, setting, seed, float(error), its))
    return Table(("compared", "setting", "seed", "error", "diversity"), lines)


def summary(found: Arrays) -> Table:
    """A row for each setting, but for what the heat map shows."""
    shown = _series(found)[found["agents"].size * found["weights"].size :]
    lines = [
        (
            *(part, setting, len(errors)),
            *(float(errors.min()), float(np.median(errors)), float(errors.max())),
            None if spreads is None else float(np.median(spreads)),
        )
        for part, setting, errors, spreads in shown
    ]
    columns = ("compared", "setting", "seeds", "best error", "median", "worst", "diversity")
    return Table(columns, lines)


def draw(found: Arrays, folder: Path) -> None:
    """The heat map, diversity by mutated weights, and the error by the size of mutations."""
    seeds = f"median of {found['grid_error'].shape[-1]} seeds, "
    path = folder / "claims-agents.png"
    figure = draw_heatmap(
        path,
        Setting("agents", _words(found["agents"])),
        Setting("mutated weights", _words(found["weights"])),
        np.median(found["grid_error"], axis=-1),
        title=f"{seeds}{ERROR_NAMES['mae']}",
    )
    save_both(figure, path.with_suffix(""))
    path = folder / "claims-weights.png"
    figure = draw_sensitivity(
        path,
        Setting("mutated weights", found["many_weights"].tolist()),
        diversities(found["many_outputs"], found["images"]),
        ylabel="diversity of the outputs",
        ends=("least", "most"),
        linear=True,
    )
    save_both(figure, path.with_suffix(""))
    path = folder / "claims-scale.png"
    figure = draw_sensitivity(
        path,
        Setting("size of mutations", found["scales"].tolist()),
        found["scale_error"],
        ylabel=ERROR_NAMES["mae"],
    )
    save_both(figure, path.with_suffix(""))


def _words(values: np.ndarray) -> Sequence[object]:
    return [str(value) for value in values]


CLAIMS = Experiment(
    name="claims",
    title="The paper's claims about its algorithm",
    paper="One sample converges within seconds, best with about ten agents and ten mutated "
    "weights. With two to five agents evolution ends in dead ends; more agents are slower and no "
    "better. With many mutated weights all outputs become the average image, and too small a rate "
    "is no good, either. The algorithm has a single parent: crossover is not needed.",
    method="Sweeps around the presets `paper-one` (one digit, ten agents, ten mutated weights) and "
    "`paper-ten` (ten digits, twenty agents, one mutated weight). Runs with other numbers of "
    "agents are compared after as many evaluations, and after as many generations. A run with one "
    "digit has converged when its error is below that of a black image, which draws nothing; one "
    "that has not is a dead end. Errors are mean absolute errors per pixel, in 0.1 to 0.9; smaller "
    "and larger are judged by a one-sided Mann-Whitney test over seeds, p < 0.05.",
    pictures=(
        (
            "claims-agents",
            "One digit: the error after equal evaluations, by agents and mutated weights; the "
            "smallest is framed.",
        ),
        (
            "claims-weights",
            "Ten digits: how much outputs differ from each other, as a share of how much the "
            "digits do.",
        ),
        ("claims-scale", "One digit: the error by the size of mutations, U(-size, size)."),
    ),
    full=Budget(
        seeds=10,
        generations=1_000,
        agents=(2, 3, 5, 10, 20, 50, 100),
        mutated_weights=(1, 3, 10, 30, 100),
        more_agents=(10, 20, 50, 100),
        ten_generations=1_000,
        many_weights=(1, 3, 10, 30, 100),
        scales=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    ),
    quick=Budget(
        seeds=4,
        generations=1_000,
        agents=(2, 10),
        mutated_weights=(1, 10),
        more_agents=(10, 50),
        ten_generations=1_000,
        many_weights=(1, 10),
        scales=(0.01, 0.1, 1.0),
    ),
    measure=measure,
    rows=rows,
    summary=summary,
    claims=all_claims,
    draw=draw,
)
