"""What is measured of agents, mutated weights, their size, and crossover: sweeps."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from evoae.crossovers import Uniform
from evoae.experiments.paper.claims.findings import judge
from evoae.experiments.paper.harness import networks, pictures, tables
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts
from evoae.experiments.paper.harness.tables import Group, Table
from evoae.fitness.baselines import compute_baselines
from evoae.report.sensitivity import Setting, draw_heatmap, draw_sensitivity
from evoae.report.words import ERROR_NAMES
from evoae.runs.config import PRESETS, RunConfig, with_settings
from evoae.runs.task import prepare

AGENTS = 10  # of the paper's run with one sample
CROSSOVERS = ("one parent", "several, no crossover", "several, crossover")


def measure(
    parts: Parts,
    *,
    seeds: int,
    generations: int,
    agents: tuple[int, ...],
    mutated_weights: tuple[int, ...],
    more_agents: tuple[int, ...],
    ten_generations: int,
    many_weights: tuple[int, ...],
    scales: tuple[float, ...],
) -> Arrays:
    """Sweeps: a grid of agents and weights, and one for each other claim.

    Args:
      parts: of the experiment.
      seeds: runs of each kind.
      generations: of one digit with ten agents; runs with others have as many evaluations.
      agents: of the heat map, among them 10.
      mutated_weights: of the heat map, among them 10.
      more_agents: of the runs with equal generations, from 10.
      ten_generations: of the runs with ten digits.
      many_weights: of these, from 1, among them 10.
      scales: the sizes of mutations, among them 1.
    """
    one = dataclasses.replace(PRESETS["paper-one"], num_generations=generations)
    ten = dataclasses.replace(PRESETS["paper-ten"], num_generations=ten_generations)
    ten_task = prepare(ten)
    digits = ten_task.pixels()
    constant = compute_baselines(prepare(one).pixels(), error="mae", low=0.1, high=0.9)
    black = constant["black image"]

    def sweep(name: str, config: RunConfig, settings: dict[str, Any]) -> Arrays:
        return parts.sweep(name, config, settings, seeds=seeds)

    def fit_length(number: int) -> int:
        return max(1, AGENTS * generations // number)

    grid = []
    for number in agents:
        size = {"num_generations": fit_length(number), "strategy.population_size": number}
        weights = {"mutation.num_weights": mutated_weights}
        its = sweep(f"agents-{number}", with_settings(one, size), weights)
        grid.append(_describe(its, generations, black))
    more = sweep("more-agents", one, {"population_size": more_agents})
    traces = zip(more["best_fitness"], map(fit_length, more_agents), strict=True)
    many = sweep("many-weights", ten, {"mutation.num_weights": many_weights})
    return {
        **{f"grid_{key}": np.stack([its[key] for its in grid]) for key in grid[0]},
        **{f"more_{key}": its for key, its in _describe(more, generations, black).items()},
        "more_equal": np.array([its[:, min(end, its.shape[1]) - 1] for its, end in traces]),
        "black": np.array(black),
        "agents": np.array(agents),
        "weights": np.array(mutated_weights),
        "more_agents": np.array(more_agents),
        "many_weights": np.array(many_weights),
        "many_error": many["error"],
        "many_outputs": networks.compute_outputs(ten_task, digits, many["weights"]),
        "images": digits,
        "scales": np.array(scales),
        "scale_error": sweep("scale", one, {"mutation.scale": scales})["error"],
        "crossover_one": sweep("crossover-one", one, _crossovers(one))["error"],
        "crossover_ten": sweep("crossover-ten", ten, _crossovers(ten))["error"],
    }


def _describe(sweep: Arrays, generations: int, black: float) -> Arrays:
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
        "early": traces[..., min(generations, number) - 1],
        "reached": np.where(below.any(axis=-1), seconds, np.inf),
    }


def _crossovers(config: RunConfig) -> dict[str, list[Any]]:
    """The strategies of `CROSSOVERS`; a quarter of the agents are parents."""
    strategy: Any = config.strategy
    several = dataclasses.replace(strategy, num_elites=max(2, strategy.population_size // 4))
    return {"strategy": [strategy, several, dataclasses.replace(several, crossover=Uniform())]}


def groups(found: Arrays) -> list[Group]:
    """All runs: what is compared, and the setting."""
    agents, spreads = found["agents"], _diversities(found)
    lines: list[tuple[str, str, np.ndarray, np.ndarray | None]] = []
    for (a, w), _ in np.ndenumerate(found["grid_error"][..., 0]):
        setting = f"{agents[a]} agents, {found['weights'][w]} weights"
        lines.append(("equal evaluations", setting, found["grid_error"][a, w], None))
    for part, key in (("equal generations", "more_error"), ("equal evaluations", "more_equal")):
        for i, number in enumerate(found["more_agents"]):
            lines.append((part, f"{number} agents", found[key][i], None))
    for i, number in enumerate(found["many_weights"]):
        setting = f"{number}, ten digits"
        lines.append(("mutated weights", setting, found["many_error"][i], spreads[i]))
    for size, errors in zip(found["scales"], found["scale_error"], strict=True):
        lines.append(("size of mutations", f"U(-{size:g}, {size:g})", errors, None))
    for key, words in (("crossover_one", "one digit"), ("crossover_ten", "ten digits")):
        for name, errors in zip(CROSSOVERS, found[key], strict=True):
            lines.append((words, name, errors, None))
    return [Group((part, setting), {"error": e, "diversity": d}) for part, setting, e, d in lines]


def _diversities(found: Arrays) -> np.ndarray:
    return networks.compute_diversities(found["many_outputs"], found["images"])


def summary(found: Arrays) -> Table:
    """A row for each setting that the heat map does not show."""
    columns = {
        "compared": tables.label(0),
        "setting": tables.label(1),
        "seeds": tables.count,
        **tables.spread_of("error"),
        "diversity": tables.figure_of("diversity"),
    }
    return tables.summarize(groups(found)[found["agents"].size * found["weights"].size :], columns)


def draw(found: Arrays, folder: Path) -> None:
    """The heat map, diversity by mutated weights, and the error by the size of mutations."""
    seeds = found["grid_error"].shape[-1]
    path = folder / "claims-agents.png"
    figure = draw_heatmap(
        path,
        Setting("agents", found["agents"].astype(str).tolist()),
        Setting("mutated weights", found["weights"].astype(str).tolist()),
        np.median(found["grid_error"], axis=-1),
        title=f"median of {seeds} seeds, {ERROR_NAMES['mae']}",
    )
    pictures.save_both(figure, path)
    path = folder / "claims-weights.png"
    figure = draw_sensitivity(
        path,
        Setting("mutated weights", found["many_weights"].tolist()),
        _diversities(found),
        ylabel="diversity of the outputs",
        ends=("least", "most"),
        linear=True,
    )
    pictures.save_both(figure, path)
    path = folder / "claims-scale.png"
    sizes = Setting("size of mutations", found["scales"].tolist())
    figure = draw_sensitivity(path, sizes, found["scale_error"], ylabel=ERROR_NAMES["mae"])
    pictures.save_both(figure, path)


CLAIMS = Experiment(
    name="claims",
    full={
        "seeds": 10,
        "generations": 1_000,
        "agents": (2, 3, 5, 10, 20, 50, 100),
        "mutated_weights": (1, 3, 10, 30, 100),
        "more_agents": (10, 20, 50, 100),
        "ten_generations": 1_000,
        "many_weights": (1, 3, 10, 30, 100),
        "scales": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    },
    quick={
        "seeds": 4,
        "generations": 1_000,
        "agents": (2, 10),
        "mutated_weights": (1, 10),
        "more_agents": (10, 50),
        "ten_generations": 1_000,
        "many_weights": (1, 10),
        "scales": (0.01, 0.1, 1.0),
    },
    measure=measure,
    groups=groups,
    columns=("compared", "setting", "seed"),
    summary=summary,
    judge=judge,
    draw=draw,
)
