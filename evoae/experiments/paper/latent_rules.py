"""What follows from the figures of the latent spaces: tables, and what holds of regularity."""

from collections.abc import Callable

import numpy as np

from evoae.experiments.paper.experiment import Table
from evoae.experiments.paper.latent_figures import SIDE, STEPS, Array
from evoae.experiments.paper.parts import Arrays
from evoae.experiments.paper.verdicts import Claim, Statement, spread

EVOLVED, ADAM, VAE, LINEAR = "evolution", "adam", "vae", "pca"
NAMES = {EVOLVED: "evolution", ADAM: "Adam", VAE: "variational, by Adam", LINEAR: "two components"}
SHOWN = ((3, 8), (4, 0), (7, 2))  # digits between which the picture goes

FILLED = 0.01  # the share of the square that a digit needs
MANY = 8  # digits
MOST = 0.5  # of the square
JUMP = 4.0  # times the mean step

FIGURES = {  # by the names of the raw ones: how a table calls them
    "error": "squared error",
    "accuracy": "k-NN",
    "trustworthiness": "trustworthiness",
    "digit_like": "digit-like",
    "digits": "digits",
    "halfway": "half-way",
    "detour": "detour",
    "largest_step": "largest step",
}


def runs(found: Arrays, way: str) -> int:
    """How many networks there are of one way of training."""
    number = 0
    while f"{way}-{number}/latents" in found:
        number += 1
    return number


def each(found: Arrays, way: str, name: str) -> Array:
    """A figure of each network of one way, [S]; also "digit_like" and "digits"."""
    derived: dict[str, Callable[[Array], float]] = {"digit_like": digit_like, "digits": digits}
    values = []
    for seed in range(runs(found, way)):
        its = f"{way}-{seed}/"
        figure = derived[name](found[its + "drawn"]) if name in derived else found[its + name]
        values.append(float(figure))
    return np.array(values)


def digit_like(drawn: Array) -> float:
    """The share of points that decode to a digit, from the digit of each or -1.

    >>> digit_like(np.array([3, -1, 8, 8]))
    0.75
    """
    return float(np.mean(drawn >= 0))


def digits(drawn: Array) -> int:
    """How many digits fill at least 1 % of the points.

    >>> digits(np.array([3] * 99 + [8] + [-1] * 20))
    1
    """
    counts = np.bincount(drawn[drawn >= 0], minlength=10)
    return int((counts >= FILLED * len(drawn)).sum())


def rows(found: Arrays) -> Table:
    """A row a network."""
    lines: list[tuple[object, ...]] = []
    for way in NAMES:
        columns = [each(found, way, name).tolist() for name in FIGURES]
        for seed, figures in enumerate(zip(*columns, strict=True)):
            seconds = found.get(f"{way}-{seed}/seconds")
            lines.append((way, seed, *figures, None if seconds is None else float(seconds)))
    return Table(("way", "seed", *FIGURES, "seconds"), lines)


def summary(found: Arrays) -> Table:
    """The ways in the median over seeds; the images themselves, and their mean."""
    lines: list[tuple[object, ...]] = []
    for way, name in NAMES.items():
        middle = {its: float(np.median(each(found, way, its))) for its in FIGURES}
        middle["digits"] = round(middle["digits"])
        lines.append((name, runs(found, way), *middle.values()))
    drawn = found["images/drawn"]
    themselves: dict[str, object] = {
        "accuracy": float(found["images/accuracy"]),
        "digit_like": digit_like(drawn),
        "digits": digits(drawn),
        "halfway": float(found["images/halfway"]),
        "detour": 1.0,
        "largest_step": 1.0,
    }
    lines.append(("images themselves", None, *map(themselves.get, FIGURES)))
    constant: dict[str, object] = {
        "error": float(found["images/mean_error"]),
        "digit_like": digit_like(found["images/mean_drawn"]),
    }
    lines.append(("mean image", None, *map(constant.get, FIGURES)))
    return Table(("", "seeds", *FIGURES.values()), lines)


def claims(found: Arrays) -> list[Claim]:
    """That digits have regions, that the space between is regular; and beside Adam's."""

    def its(way: str, name: str) -> Array:
        return each(found, way, name)

    linear = float(its(LINEAR, "accuracy")[0])
    of_blends = float(found["images/halfway"])
    accuracies, steps = its(EVOLVED, "accuracy"), its(EVOLVED, "largest_step")
    number, like, halfway = (its(EVOLVED, name) for name in ("digits", "digit_like", "halfway"))
    return [
        Claim(
            "the digits have regions of their own in the evolved latent",
            (
                Statement(
                    "neighbours in it tell the digit more often than those among two principal "
                    f"components, {linear:.1%}, do (every seed)",
                    spread(accuracies, ".1%"),
                    bool((accuracies > linear).all()),
                ),
                Statement(
                    f"at least {MANY} digits are drawn by {FILLED:.0%} of the square or more each "
                    "(median over seeds)",
                    spread(number, ".0f"),
                    bool(np.median(number) >= MANY),
                ),
            ),
        ),
        Claim(
            "the evolved latent is regular",
            (
                Statement(
                    f"more than {MOST:.0%} of the square decodes to something digit-like "
                    f"({SIDE} x {SIDE} points, median over seeds)",
                    spread(like, ".0%"),
                    bool(np.median(like) > MOST),
                ),
                Statement(
                    "what lies half-way between two digits is digit-like more often than half-way "
                    f"between their pixels, {of_blends:.0%} (median over seeds)",
                    spread(halfway, ".0%"),
                    bool(np.median(halfway) > of_blends),
                ),
                Statement(
                    f"the largest of {STEPS} steps between two digits is less than {JUMP:.0f} "
                    "times the mean one (median over seeds)",
                    spread(steps, ".1f"),
                    bool(np.median(steps) < JUMP),
                ),
            ),
        ),
        Claim(
            "it is as good as the latent of the same network by Adam",
            tuple(
                Statement(
                    f"the {words} is not worse in every one of its runs than in any by Adam",
                    f"{spread(its(EVOLVED, name), form)} against {spread(its(ADAM, name), form)}",
                    not better(sign * its(ADAM, name), sign * its(EVOLVED, name)),
                )
                for words, name, form, sign in (
                    ("squared error", "error", ".1f", -1),
                    ("accuracy of neighbours", "accuracy", ".1%", 1),
                    ("trustworthiness", "trustworthiness", ".3f", 1),
                    ("digit-like share", "digit_like", ".0%", 1),
                )
            ),
        ),
        Claim(
            "a variational autoencoder's latent is more regular than a plain one's",
            tuple(
                Statement(
                    f"the {words} is {than} in every run of the variational one than in any of the "
                    "plain one, both by Adam",
                    f"{spread(its(VAE, name), form)} against {spread(its(ADAM, name), form)}",
                    better(sign * its(VAE, name), sign * its(ADAM, name)),
                )
                for words, name, form, sign, than in (
                    ("digit-like share of the square", "digit_like", ".0%", 1, "larger"),
                    ("digit-like share half-way", "halfway", ".0%", 1, "larger"),
                    ("largest step", "largest_step", ".1f", -1, "smaller"),
                )
            ),
        ),
    ]


def better(some: Array, others: Array) -> bool:
    """Whether the least of some values is above the largest of others.

    >>> better(np.array([2, 3]), np.array([0, 1])), better(np.array([1, 3]), np.array([0, 2]))
    (True, False)
    """
    return bool(np.min(some) > np.max(others))
