"""What is measured of all encodings: costs, and errors at equal evaluations and equal time."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from evoae import data, trees
from evoae.encodings import Direct, Encoding
from evoae.experiments.paper.encodings.decoding import measure_cost
from evoae.experiments.paper.encodings.findings import groups, judge, summary
from evoae.experiments.paper.encodings.pictures import draw
from evoae.experiments.paper.harness import networks, pictures
from evoae.experiments.paper.harness.experiment import Experiment
from evoae.experiments.paper.harness.kept_parts import Arrays, Parts, prefixed
from evoae.fitness.baselines import compute_baselines
from evoae.models import MODELS
from evoae.mutations import Sparse
from evoae.runs.config import PRESETS, ModelConfig, RunConfig
from evoae.runs.config.registry import kinds
from evoae.runs.task import prepare
from evoae.strategies import GeneticAlgorithm, ProbeEvolutionStrategy

# What the number of genes depends on: the setting, and its values, the encoding's own first.
SIZES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "Cosine": ("genes_per_weight", (0.1, 0.02, 0.3, 1.0)),
    "RandomSubspace": ("num_genes", (256, 32, 1024)),
    "CPPN": ("hidden", ((15, 15), (6,), (30, 30))),
    "EvolvedCPPN": ("max_nodes", (12, 4)),
    "Kitano": ("num_symbols", (16, 6)),
    "Cellular": ("max_nodes", (48, 16)),
}
POPULATION, AGENTS = 256, 20  # of the strategy that is compared, and of the paper's search
LEARNING_RATE = 0.1  # the best of 0.02, 0.05, 0.1 and 0.2 for direct genes after 750 generations
BATCH = 64  # images of MNIST a generation


class Budget(NamedTuple):
    """How much is measured; the generations of the same time follow from its seconds.

    Its `encodings` are names, `Direct` the first.
    """

    encodings: tuple[str, ...]
    seeds: int
    generations: int
    mnist_generations: int
    seconds: float
    sizes: int
    mutated_genes: tuple[int, ...]
    sparse_generations: int
    timed_blocks: int


def every_encoding() -> dict[str, type]:
    """All public encodings by name, the direct one first.

    >>> list(every_encoding())[:2]
    ['Direct', 'CPPN']
    """
    found = kinds(Encoding)
    return {Direct.__name__: Direct} | {k: v for k, v in found.items() if v is not Direct}


def begin_with(encoding: Encoding) -> RunConfig:
    """The ten digits with an encoding, and the first model that it makes weights for.

    Raises:
      ValueError: there is none.
    """
    problem = None
    for name in MODELS:
        config = dataclasses.replace(
            PRESETS["probes"],
            model=ModelConfig(name),
            encoding=encoding,
            strategy=ProbeEvolutionStrategy(POPULATION, learning_rate=LEARNING_RATE),
        )
        try:
            prepare(config)
        except ValueError as error:
            problem = problem or error
        else:
            return config
    raise ValueError(f"{encoding!r} makes weights for none of {', '.join(MODELS)}: {problem}")


def measure(parts: Parts, **numbers: Any) -> Arrays:
    """Costs; errors at equal evaluations, at equal time, and by the number of mutated genes."""
    budget = Budget(**numbers)
    digits = prepare(PRESETS["probes"])
    low, high = digits.config.data.low, digits.config.data.high
    seen, unseen = (
        data.load("mnist-mini", split=split, low=low, high=high).images
        for split in ("train", "test")
    )
    constant = compute_baselines(unseen, error="mae", low=low, high=high, fitted_to=seen)
    found: Arrays = {
        "names": np.array(budget.encodings),
        "images": digits.pixels(),
        "mnist_median_image": np.array(constant["median image"]),
        "mutated_genes": np.array(budget.mutated_genes),
        "evaluations": np.array(budget.generations * POPULATION),
        "mnist_evaluations": np.array(budget.mnist_generations * POPULATION),
        "seconds": np.array(budget.seconds),
    }
    for name in budget.encodings:
        found |= prefixed(name, _measure_encoding(name, budget, parts, digits.pixels(), unseen))
        jax.clear_caches()  # the programs of all encodings are too many for one process
    return found


def _measure_encoding(
    name: str, budget: Budget, parts: Parts, digits: np.ndarray, unseen: np.ndarray
) -> Arrays:
    """All figures of one encoding."""
    make = every_encoding()[name]
    config = begin_with(make())
    on_mnist = _on_mnist(config)
    genotype = trees.size(prepare(config).state.best)
    about: dict[str, Any] = {"model": config.model_name, "num_genes": genotype}
    found = prefixed("about", about)

    def sweep(
        kind: str, config: RunConfig, images: np.ndarray, settings: dict[str, Any] | None = None
    ) -> None:
        """Mean absolute errors of the best networks; after equal time the median's outputs, too."""
        its = parts.sweep(_part_name(kind, name), config, settings or {}, seeds=budget.seeds)
        task = prepare(config)
        outputs = networks.compute_outputs(task, images, its["weights"])
        errors = np.abs(outputs - images).mean(axis=tuple(range(-images.ndim, 0)))
        errors = np.where(np.isfinite(its["error"]), errors, np.inf)
        figures: dict[str, Any] = {"error": errors, "num_genes": trees.size(task.state.best)}
        if kind == "time":
            figures["outputs"] = outputs[pictures.median_run(errors)]
        found.update(prefixed(kind, figures))

    def fit_to_time(kind: str, config: RunConfig) -> tuple[Arrays, int]:
        """The cost of a generation, and how many have the seconds of the budget."""
        cost = parts.kept(
            f"{kind}-{name}", lambda: measure_cost(prepare(config), budget.timed_blocks)._asdict()
        )
        return cost, max(int(budget.seconds / float(cost["seconds"])), 1)

    cost, number = fit_to_time("cost", config)
    found |= prefixed("cost", cost)
    field, values = SIZES.get(name, ("", ()))
    for index, value in enumerate(values[: budget.sizes] or ("",)):
        encoding = make(**{field: value}) if field else make()
        sized = dataclasses.replace(config, encoding=encoding).fitted_to(budget.generations)
        sweep(f"size-{index}", sized, digits)
        found[f"size-{index}/value"] = np.asarray(str(value))
    sweep("time", config.fitted_to(number), digits)
    found["time/generations"] = np.asarray(number)
    _, number = fit_to_time("mnist-cost", on_mnist)
    sweep("mnist", on_mnist.fitted_to(budget.mnist_generations), unseen)
    sweep("mnist-time", on_mnist.fitted_to(number), unseen)
    paper = dataclasses.replace(
        config,
        strategy=GeneticAlgorithm(AGENTS, mutation=Sparse(1, shared_positions=True)),
        num_generations=budget.sparse_generations,
    )
    sweep("sparse", paper, digits, {"mutation.num_weights": budget.mutated_genes})
    return found


def _part_name(kind: str, name: str) -> str:
    """Such as "size-Cosine-1"."""
    return f"size-{name}-{kind.removeprefix('size-')}" if "size-" in kind else f"{kind}-{name}"


def _on_mnist(config: RunConfig) -> RunConfig:
    """The same with 2,000 digits in minibatches; what is reported is of others."""
    source = dataclasses.replace(config.data, source="mnist-mini")
    strategy = dataclasses.replace(config.strategy, elitist=False)  # type: ignore[type-var]
    return dataclasses.replace(config, data=source, batch_size=BATCH, strategy=strategy)


ENCODINGS = Experiment(
    name="encodings",
    full=Budget(
        tuple(every_encoding()), 5, 750, 200, 20.0, 4, (1, 2, 4, 8, 16, 32, 64, 128), 500, 9
    )._asdict(),
    quick=Budget(("Direct", "Cosine"), 2, 20, 5, 0.5, 1, (1, 16), 20, 2)._asdict(),
    measure=measure,
    groups=groups,
    columns=("part", "encoding", "setting", "genes", "mutated_genes", "seed"),
    summary=summary,
    judge=judge,
    draw=draw,
    facts={"population": POPULATION, "learning_rate": LEARNING_RATE, "agents": AGENTS},
    quick_note="Two of the encodings alone, as all of them take minutes to compile. Two seeds "
    "pass no test, and after so few generations hardly anything is learnt: only the costs can be "
    "read from this.",
)
