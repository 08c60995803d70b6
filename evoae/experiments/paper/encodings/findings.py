"""What follows from the figures of the encodings: tables, and the verdict on the proposal."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from evoae.experiments.paper.harness import tables
from evoae.experiments.paper.harness.kept_parts import Arrays, numbered
from evoae.experiments.paper.harness.statements import Finding, smaller
from evoae.experiments.paper.harness.tables import Group, Table
from evoae.fitness.baselines import compute_baselines

DIRECT = "Direct"
OTHER_PARTS = {
    "time": "equal time",
    "mnist": "MNIST, equal evaluations",
    "mnist-time": "MNIST, equal time",
}


def names_of(found: Arrays) -> list[str]:
    """The encodings, the direct one first."""
    return [str(name) for name in found["names"]]


def best_size(found: Arrays, name: str) -> tuple[int, np.ndarray]:
    """The genes and errors of the size with the smallest median error."""
    best = min(numbered(found, f"{name}/size"), key=lambda its: float(np.median(its["error"])))
    return int(best["num_genes"]), best["error"]


def groups(found: Arrays) -> list[Group]:
    """All runs: the part, the encoding, its setting, its genes, and how many of them mutate."""
    lines: list[tuple[tuple[Any, ...], np.ndarray]] = []
    for name in names_of(found):
        for its in numbered(found, f"{name}/size"):
            setting = (str(its["value"]), int(its["num_genes"]), None)
            lines.append((("equal evaluations", name, *setting), its["error"]))
        for kind, part in OTHER_PARTS.items():
            number = int(found[f"{name}/{kind}/num_genes"])
            lines.append(((part, name, "", number, None), found[f"{name}/{kind}/error"]))
        number = int(found[f"{name}/about/num_genes"])
        for mutated, errors in zip(
            found["mutated_genes"], found[f"{name}/sparse/error"], strict=True
        ):
            lines.append((("mutated genes", name, "", number, int(mutated)), errors))
    return [Group(labels, {"error": errors}) for labels, errors in lines]


def summary(found: Arrays) -> Table:
    """A row an encoding, and what the median image has."""

    def describe(name: str) -> Group:
        genotype, errors = best_size(found, name)
        parts = {kind: found[f"{name}/{kind}/error"] for kind in OTHER_PARTS}
        sparse = np.median(found[f"{name}/sparse/error"], axis=1)
        model = str(found[f"{name}/about/model"])
        words = name if model == found[f"{DIRECT}/about/model"] else f"{name}, {model}"
        milliseconds = f"{1000 * float(found[f'{name}/cost/seconds']):.1f}"
        share = f"{max(float(found[f'{name}/cost/share']), 0):.0%}"
        figures = {"evaluations": errors, "sparse": sparse, **parts}
        return Group((words, genotype, milliseconds, share), figures)

    columns = {
        "encoding": tables.label(0),
        "genes": tables.label(1),
        "evaluations": tables.figure_of("evaluations"),
        "time": tables.figure_of("time"),
        "MNIST": tables.figure_of("mnist"),
        "MNIST, time": tables.figure_of("mnist-time"),
        "best n": tables.figure_of("sparse", np.min),
        "worst n": tables.figure_of("sparse", np.max),
        "ms": tables.label(2),
        "decoding": tables.label(3),
    }
    table = tables.summarize([describe(name) for name in names_of(found)], columns)
    constant = compute_baselines(found["images"], error="mae", low=0.1, high=0.9)["median image"]
    on_mnist = float(found["mnist_median_image"])
    last = ("median image", None, *[constant] * 2, *[on_mnist] * 2, *[constant] * 2, "", "")
    return table._replace(rows=[*table.rows, last])


def judge(found: Arrays) -> dict[str, Any]:
    """What was found of the two hopes of the proposal."""
    return judge_speed(found) | judge_sensitivity(found)


def judge_speed(found: Arrays) -> dict[str, Any]:
    """Indirect encodings train faster."""
    sizes, errors = {}, {}
    for name in names_of(found):
        sizes[name], errors[name] = best_size(found, name)
    number = int(found[f"{DIRECT}/about/num_genes"])
    few = [name for name in beating(errors) if sizes[name] < number / 2]
    genotype = {name: f" with {size:,} genes" for name, size in sizes.items()}
    own_size = {  # with the number of genes that an encoding has by itself
        kind: {name: found[f"{name}/{kind}/error"] for name in errors} for kind in OTHER_PARTS
    }
    return {
        "sizes_beat": is_beaten(errors, genotype),
        "few_genes_beat": is_any(few),
        "beat_in_time": is_beaten(own_size["time"]),
        "beat_on_mnist": is_beaten(own_size["mnist"]),
        "beat_on_mnist_in_time": is_beaten(own_size["mnist-time"]),
        "evaluations": int(found["evaluations"]),
        "mnist_evaluations": int(found["mnist_evaluations"]),
        "seconds": float(found["seconds"]),
    }


def judge_sensitivity(found: Arrays) -> dict[str, Any]:
    """Indirect encodings depend less on the mutation rate."""
    names, numbers = names_of(found), found["mutated_genes"]
    errors = {name: found[f"{name}/sparse/error"] for name in names}
    medians = {name: np.median(its, axis=1) for name, its in errors.items()}
    changes = {name: its.max() / its.min() for name, its in medians.items()}
    steady = [name for name in names if changes[name] < changes[DIRECT]]
    good = [name for name in steady if medians[name].min() <= medians[DIRECT].min()]
    return {
        "vary_less": Finding(
            ", ".join(f"{name} {change:.2f}" for name, change in changes.items()),
            len(steady) > (len(names) - 1) / 2,
        ),
        "steady_and_good": is_any(good),
        "beat_at_most": is_any(beating({name: its[-1] for name, its in errors.items()})),
        "fewest": numbers[0],
        "most": numbers[-1],
    }


def beating(errors: dict[str, np.ndarray]) -> list[str]:
    """The encodings whose errors are smaller than those of the direct one."""
    return [name for name, its in errors.items() if smaller(its, errors[DIRECT])]


def is_any(names: list[str]) -> Finding:
    """Whether there is one."""
    return Finding(", ".join(names) or "none", bool(names))


def is_beaten(errors: dict[str, np.ndarray], more: Mapping[str, str] | None = None) -> Finding:
    """Whether an encoding beats the direct one; `more` is said of the one that comes nearest."""
    better = is_any(beating(errors))
    medians = {name: float(np.median(its)) for name, its in errors.items()}
    leader = min((name for name in errors if name != DIRECT), key=medians.__getitem__)
    figures = (
        f"{better.figures}; the smallest median is {medians[leader]:.4f}, of {leader}"
        f"{more[leader] if more else ''}, against {medians[DIRECT]:.4f}"
    )
    return Finding(figures, better.holds)
