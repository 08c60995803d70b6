"""What follows from the figures of the encodings: tables, and the verdict on the proposal."""

import numpy as np

from evoae.experiments.paper.experiment import Table
from evoae.experiments.paper.parts import Arrays
from evoae.experiments.paper.verdicts import Claim, Statement, smaller
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


def sizes_of(found: Arrays, name: str) -> list[tuple[str, int, np.ndarray]]:
    """(value of the setting, genes, errors [S]) of one encoding at equal evaluations."""
    sizes: list[tuple[str, int, np.ndarray]] = []
    while f"{name}/size-{len(sizes)}/error" in found:
        part = f"{name}/size-{len(sizes)}"
        value, number = str(found[f"{part}/value"]), int(found[f"{part}/num_genes"])
        sizes.append((value, number, found[f"{part}/error"]))
    return sizes


def best_size(found: Arrays, name: str) -> tuple[int, np.ndarray]:
    """The genes and errors of the size with the smallest median error."""
    _, number, errors = min(sizes_of(found, name), key=lambda its: float(np.median(its[2])))
    return number, errors


def change_of(found: Arrays, name: str) -> float:
    """How much the median error varies over the numbers of mutated genes: largest by smallest."""
    medians = np.median(found[f"{name}/sparse/error"], axis=1)
    return float(medians.max() / medians.min())


def rows(found: Arrays) -> Table:
    """A row a run."""
    lines: list[tuple[object, ...]] = []
    for name in names_of(found):
        for value, number, errors in sizes_of(found, name):
            setting = ("equal evaluations", name, value, number, None)
            lines += [(*setting, seed, float(error)) for seed, error in enumerate(errors)]
        for kind, part in OTHER_PARTS.items():
            setting = (part, name, "", int(found[f"{name}/{kind}/num_genes"]), None)
            errors = found[f"{name}/{kind}/error"]
            lines += [(*setting, seed, float(error)) for seed, error in enumerate(errors)]
        number = int(found[f"{name}/about/num_genes"])
        for (index, seed), error in np.ndenumerate(found[f"{name}/sparse/error"]):
            mutated = int(found["mutated_genes"][index])
            lines.append(("mutated genes", name, "", number, mutated, seed, float(error)))
    return Table(("part", "encoding", "setting", "genes", "mutated_genes", "seed", "error"), lines)


def summary(found: Arrays) -> Table:
    """A row an encoding, and what the median image has."""
    lines: list[tuple[object, ...]] = []
    for name in names_of(found):
        number, errors = best_size(found, name)
        sparse = np.median(found[f"{name}/sparse/error"], axis=1)
        model = str(found[f"{name}/about/model"])
        lines.append(
            (
                name if model == found[f"{DIRECT}/about/model"] else f"{name}, {model}",
                *(number, float(np.median(errors))),
                *(float(np.median(found[f"{name}/{kind}/error"])) for kind in OTHER_PARTS),
                *(float(sparse.min()), float(sparse.max())),
                f"{1000 * float(found[f'{name}/cost/seconds']):.1f}",
                f"{max(float(found[f'{name}/cost/share']), 0):.0%}",
            )
        )
    constant = compute_baselines(found["images"], error="mae", low=0.1, high=0.9)["median image"]
    on_mnist = float(found["mnist_median_image"])
    lines.append(("median image", None, *[constant] * 2, *[on_mnist] * 2, *[constant] * 2, "", ""))
    return Table(
        (
            *("encoding", "genes", "evaluations", "time", "MNIST", "MNIST, time"),
            *("best n", "worst n", "ms", "decoding"),
        ),
        lines,
    )


def claims(found: Arrays) -> list[Claim]:
    """The two hopes of the proposal."""
    return [_faster(found), _less_sensitive(found)]


def _faster(found: Arrays) -> Claim:
    direct, others = best_size(found, DIRECT)[1], names_of(found)[1:]
    number = int(found[f"{DIRECT}/about/num_genes"])
    best = {name: best_size(found, name) for name in others}
    at_once = [name for name in others if smaller(best[name][1], direct)]
    few = [name for name in at_once if best[name][0] < number / 2]
    leader = min(others, key=lambda name: float(np.median(best[name][1])))
    return Claim(
        "indirect encodings train faster",
        (
            Statement(
                f"after {int(found['evaluations']):,} evaluations the error of one of them, at its "
                "best number of genes, is smaller than that of the direct encoding (Mann-Whitney "
                "test over seeds, p < 0.05)",
                f"{_named(at_once)}; the smallest median is {np.median(best[leader][1]):.4f}, of "
                f"{leader} with {best[leader][0]:,} genes, against {np.median(direct):.4f}",
                bool(at_once),
            ),
            Statement(
                "so is the error of one with less than half as many genes as there are weights",
                _named(few),
                bool(few),
            ),
            _beaten(found, "time", f"after {float(found['seconds']):g} s"),
            _beaten(
                found, "mnist", f"on MNIST, after {int(found['mnist_evaluations']):,} evaluations,"
            ),
            _beaten(found, "mnist-time", f"on MNIST, after {float(found['seconds']):g} s,"),
        ),
    )


def _beaten(found: Arrays, kind: str, when: str) -> Statement:
    """Whether another encoding beats the direct one, with the number of genes it has by itself."""
    others = names_of(found)[1:]
    errors = {name: found[f"{name}/{kind}/error"] for name in names_of(found)}
    better = [name for name in others if smaller(errors[name], errors[DIRECT])]
    leader = min(others, key=lambda name: float(np.median(errors[name])))
    return Statement(
        f"{when} the error of one of them is smaller",
        f"{_named(better)}; the smallest median is {np.median(errors[leader]):.4f}, of {leader}, "
        f"against {np.median(errors[DIRECT]):.4f}",
        bool(better),
    )


def _less_sensitive(found: Arrays) -> Claim:
    others, numbers = names_of(found)[1:], found["mutated_genes"]
    changes = {name: change_of(found, name) for name in names_of(found)}
    steady = [name for name in others if changes[name] < changes[DIRECT]]
    medians = {name: np.median(found[f"{name}/sparse/error"], axis=1) for name in names_of(found)}
    good = [name for name in steady if medians[name].min() <= medians[DIRECT].min()]
    last = [
        name
        for name in others
        if smaller(found[f"{name}/sparse/error"][-1], found[f"{DIRECT}/sparse/error"][-1])
    ]
    words = ", ".join(f"{name} {changes[name]:.2f}" for name in names_of(found))
    return Claim(
        "indirect encodings depend less on the mutation rate",
        (
            Statement(
                f"from {numbers[0]} to {numbers[-1]} mutated genes the median error varies less "
                "than with the direct encoding (largest by smallest) for more than half of them",
                words,
                len(steady) > len(others) / 2,
            ),
            Statement(
                "one that varies less is, at its best number, no worse than the direct encoding at "
                "its own (one that learns nothing varies little)",
                _named(good),
                bool(good),
            ),
            Statement(
                f"with {numbers[-1]} mutated genes the error of one of them is smaller than that "
                "of the direct encoding (Mann-Whitney test over seeds, p < 0.05)",
                _named(last),
                bool(last),
            ),
        ),
    )


def _named(names: list[str]) -> str:
    return ", ".join(names) or "none"
