"""The paper's proposal: do genes that make the weights train faster, and mind mutation less?"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from evoae import data, trees
from evoae.encodings import Direct, Encoding
from evoae.engine import evolve
from evoae.experiments.paper.encoding_pictures import draw
from evoae.experiments.paper.encoding_rules import claims, rows, summary
from evoae.experiments.paper.experiment import Experiment
from evoae.experiments.paper.figure3 import outputs_of
from evoae.experiments.paper.parts import Arrays, Parts
from evoae.experiments.paper.pictures import median_run
from evoae.fitness import Reconstruction
from evoae.fitness.baselines import compute_baselines
from evoae.models import MODELS
from evoae.mutations import Sparse
from evoae.runs.config import PRESETS, ModelConfig, RunConfig
from evoae.runs.config.registry import kinds
from evoae.runs.task import Task, prepare
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
BLOCK = 5  # generations that are timed together


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
            PRESETS["digits10"],
            model=ModelConfig(name),  # type: ignore[arg-type]
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


def measure(budget: Budget, parts: Parts) -> Arrays:
    """Costs; errors at equal evaluations, at equal time, and by the number of mutated genes."""
    found: Arrays = {"names": np.array(budget.encodings)}
    digits = prepare(PRESETS["digits10"])
    low, high = digits.config.data.low, digits.config.data.high
    found["images"] = images = np.asarray(data.scale(digits.images, low, high))
    seen, unseen = (
        data.load("mnist-mini", split=split, low=low, high=high).images
        for split in ("train", "test")
    )
    constant = compute_baselines(unseen, error="mae", low=low, high=high, fitted_to=seen)
    found["mnist_median_image"] = np.array(constant["median image"])
    for name in budget.encodings:
        make = every_encoding()[name]
        config = begin_with(make())
        task = prepare(config)
        about = {"model": config.model.name, "num_genes": trees.size(task.state.best)}

        def keep(kind: str, arrays: Arrays, name: str = name) -> None:
            found.update({f"{name}/{kind}/{key}": values for key, values in arrays.items()})

        keep("about", {key: np.asarray(value) for key, value in about.items()})
        cost = parts.kept(f"cost-{name}", functools.partial(_cost, task, budget.timed_blocks))
        keep("cost", cost)
        field, values = SIZES.get(name, ("", ()))
        for index, value in enumerate(values[: budget.sizes] or ("",)):
            encoding = make(**{field: value}) if field else make()
            sized = dataclasses.replace(config, encoding=encoding).fitted_to(budget.generations)
            its = _errors(parts, f"size-{name}-{index}", sized, images, budget.seeds)
            keep(f"size-{index}", its | {"value": np.asarray(str(value))})
        number = max(int(budget.seconds / float(cost["seconds"])), 1)
        lasting = config.fitted_to(number)
        its = _errors(parts, f"time-{name}", lasting, images, budget.seeds, keep_outputs=True)
        keep("time", its | {"generations": np.asarray(number)})
        on_mnist = _on_mnist(config)
        cost = parts.kept(
            f"mnist-cost-{name}", functools.partial(_cost, prepare(on_mnist), budget.timed_blocks)
        )
        number = max(int(budget.seconds / float(cost["seconds"])), 1)
        for kind, count in (("mnist", budget.mnist_generations), ("mnist-time", number)):
            lasting = on_mnist.fitted_to(count)
            keep(kind, _errors(parts, f"{kind}-{name}", lasting, unseen, budget.seeds))
        paper = dataclasses.replace(
            config,
            strategy=GeneticAlgorithm(AGENTS, mutation=Sparse(1, shared_positions=True)),
            num_generations=budget.sparse_generations,
        )
        settings = {"mutation.num_weights": budget.mutated_genes}
        keep("sparse", _errors(parts, f"sparse-{name}", paper, images, budget.seeds, settings))
        jax.clear_caches()  # the programs of all encodings are too many for one process
    found["mutated_genes"] = np.array(budget.mutated_genes)
    found["evaluations"] = np.array(budget.generations * POPULATION)
    found["mnist_evaluations"] = np.array(budget.mnist_generations * POPULATION)
    found["seconds"] = np.array(budget.seconds)
    return found


def _on_mnist(config: RunConfig) -> RunConfig:
    """The same with 2,000 digits in minibatches; what is reported is of others."""
    source = dataclasses.replace(config.data, source="mnist-mini")
    strategy = dataclasses.replace(config.strategy, elitist=False)  # type: ignore[type-var]
    return dataclasses.replace(config, data=source, batch_size=BATCH, strategy=strategy)


def _errors(
    parts: Parts,
    name: str,
    config: RunConfig,
    images: np.ndarray,
    seeds: int,
    settings: dict[str, Any] | None = None,
    *,
    keep_outputs: bool = False,
) -> Arrays:
    """Mean absolute errors of the best networks of a sweep; the outputs of the median one."""
    its = parts.sweep(name, config, settings or {}, seeds=seeds)
    task = prepare(config)
    outputs = outputs_of(task, images, its["weights"])
    errors = np.abs(outputs - images).mean(axis=tuple(range(-images.ndim, 0)))
    found = {
        "error": np.where(np.isfinite(its["error"]), errors, np.inf),
        "num_genes": np.asarray(trees.size(task.state.best)),
    }
    return found | ({"outputs": outputs[median_run(found["error"])]} if keep_outputs else {})


class _Undecoded:
    """A fitness that takes genes and evaluates a network that is there, moved by one of them."""

    def __init__(self, fitness: Reconstruction, network: Any) -> None:
        self.fitness, self.network, self.prepare = fitness, network, fitness.prepare

    def __call__(self, genotype: Any, batch: Any) -> jax.Array:
        one = jax.tree.leaves(genotype)[0].reshape(-1)[0] * np.float32(1e-6)
        network = jax.tree.map(lambda leaf: leaf + one, self.network)
        return self.fitness(jax.lax.optimization_barrier(network), batch)


def _cost(task: Task, blocks: int) -> Arrays:
    """Seconds of a generation, and what share of them decoding takes; medians over blocks.

    The share is of generations with and without decoding that alternate, as the speed of a machine
    varies; 0 for the direct encoding, with which nothing is decoded.
    """
    network = task.network(task.state.best)
    fitnesses = [task.fitness_of_genotype]
    if task.encoded:
        fitnesses.append(_Undecoded(task.reconstruction, network))

    def seconds(fitness: Callable[..., jax.Array]) -> float:
        begun = time.perf_counter()
        state, _ = evolve(
            *(task.key, task.config.strategy, fitness, task.images, task.state),
            num_generations=BLOCK,
            batch_size=task.config.batch_size,
            block_size=BLOCK,
        )
        jax.block_until_ready(state)
        return (time.perf_counter() - begun) / BLOCK

    for fitness in fitnesses:
        seconds(fitness)  # compiles
    times = [[seconds(fitness) for fitness in fitnesses] for _ in range(blocks)]
    share = statistics.median(1 - row[-1] / row[0] for row in times)
    return {
        "seconds": np.asarray(statistics.median(row[0] for row in times)),
        "share": np.asarray(share),
    }


ENCODINGS = Experiment(
    name="encodings",
    title="The proposal: other encodings",
    paper="The weights are the genes. The paper ends with a proposal: indirect encodings, in which "
    "few genes make all weights, as the way to faster training, and to results that depend less on "
    "the mutation rate.",
    method="All encodings of evoae make the weights of the paper's network, or of the first of "
    "evoae's models that they can (named in the table). **Equal evaluations and equal time**: "
    f"`ProbeEvolutionStrategy({POPULATION}, learning_rate={LEARNING_RATE})` learns the ten digits; "
    "the rate is the best of four for direct genes after so few generations, and was chosen for "
    "no other. Time is counted in generations, by what one of them takes. **Mutated genes**: the "
    f"paper's search, {AGENTS} agents, with U(-1, 1) added to n genes, the same ones in all "
    "agents. All learn from Huber's error of logits; errors below are "
    "mean absolute errors per pixel, in 0.1 to 0.9. The table has their medians: after equal "
    "evaluations, at the best number of genes; after equal time; on MNIST, with the number of "
    "genes that an encoding has by itself; and of the paper's search at its best and worst n. Then "
    "what a generation takes, in milliseconds, and which part of it decoding is; children of one "
    "changed weight are evaluated from their parent with the direct encoding alone. `Parametric` "
    "pays for its size while it learns.",
    pictures=(
        ("encodings", "The error after equal evaluations, by the number of genes."),
        ("encodings-mutated", "The paper's search by the number of mutated genes; medians."),
        ("encodings-images", "After equal time: targets, and what the networks make of them."),
    ),
    full=Budget(
        tuple(every_encoding()), 5, 750, 200, 20.0, 4, (1, 2, 4, 8, 16, 32, 64, 128), 500, 9
    ),
    quick=Budget(("Direct", "Cosine"), 2, 20, 5, 0.5, 1, (1, 16), 20, 2),
    measure=measure,
    rows=rows,
    summary=summary,
    claims=claims,
    draw=draw,
    quick_note="Two of the encodings alone, as all of them take minutes to compile. Two seeds "
    "pass no test, and after so few generations hardly anything is learnt: only the costs can be "
    "read from this.",
)
