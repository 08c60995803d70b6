"""What follows from the figures of the latent spaces: tables, and what holds of regularity."""

from typing import Any

import numpy as np

from evoae.experiments.paper.harness import tables
from evoae.experiments.paper.harness.kept_parts import Arrays, numbered
from evoae.experiments.paper.harness.networks import ADAM
from evoae.experiments.paper.harness.statements import Finding, against, is_median, spread
from evoae.experiments.paper.harness.tables import Group, Table
from evoae.experiments.paper.latent.regularity import SIDE, STEPS, Array

EVOLVED, VAE, LINEAR = "evolution", "vae", "pca"
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
# What is compared, how it is written, and 1 where more is better, -1 where less is.
BESIDE_ADAM = (
    *(("error", ".1f", -1), ("accuracy", ".1%", 1)),
    *(("trustworthiness", ".3f", 1), ("digit_like", ".0%", 1)),
)
BESIDE_PLAIN = (("digit_like", ".0%", 1), ("halfway", ".0%", 1), ("largest_step", ".1f", -1))


def groups(found: Arrays) -> list[Group]:
    """The networks of each way of training, with all `FIGURES` and the seconds it took."""
    return [
        Group((way,), {name: collect(found, way, name) for name in (*FIGURES, "seconds")})
        for way in NAMES
    ]


def collect(found: Arrays, way: str, name: str) -> Any:
    """A figure of each network of one way, [S]; None where there is no such figure."""
    runs = numbered(found, way)
    if name in ("digit_like", "digits"):
        count = share_digit_like if name == "digit_like" else count_digits
        return np.array([count(run["drawn"]) for run in runs])
    return np.array([run[name] for run in runs]) if name in runs[0] else None


def share_digit_like(drawn: Array) -> float:
    """The share of points that decode to a digit, from the digit of each or -1.

    >>> share_digit_like(np.array([3, -1, 8, 8]))
    0.75
    """
    return float(np.mean(drawn >= 0))


def count_digits(drawn: Array) -> int:
    """How many digits fill at least 1 % of the points.

    >>> count_digits(np.array([3] * 99 + [8] + [-1] * 20))
    1
    """
    counts = np.bincount(drawn[drawn >= 0], minlength=10)
    return int((counts >= FILLED * len(drawn)).sum())


def summary(found: Arrays) -> Table:
    """The ways in the median over seeds; the images themselves, and their mean."""
    columns = {
        "": lambda group: NAMES[group.labels[0]],
        "seeds": tables.count,
        **{words: tables.figure_of(name) for name, words in FIGURES.items()},
        "digits": lambda group: round(np.median(group.figures["digits"])),
    }
    table = tables.summarize(groups(found), columns)
    themselves: dict[str, object] = {
        "accuracy": float(found["images/accuracy"]),
        "digit_like": share_digit_like(found["images/drawn"]),
        "digits": count_digits(found["images/drawn"]),
        "halfway": float(found["images/halfway"]),
        "detour": 1.0,
        "largest_step": 1.0,
    }
    constant: dict[str, object] = {
        "error": float(found["images/mean_error"]),
        "digit_like": share_digit_like(found["images/mean_drawn"]),
    }
    lines = (("images themselves", themselves), ("mean image", constant))
    more = [(name, None, *map(its.get, FIGURES)) for name, its in lines]
    return table._replace(rows=table.rows + more)


def judge(found: Arrays) -> dict[str, Any]:
    """Whether digits have regions, whether the space between is regular; and beside Adam's."""
    evolved, adam, vae, linear = (
        {name: collect(found, way, name) for name in FIGURES if name != "detour"} for way in NAMES
    )
    of_components, of_blends = float(linear["accuracy"][0]), float(found["images/halfway"])
    apart = bool((evolved["accuracy"] > of_components).all())
    findings: dict[str, Any] = {
        "beats_components": Finding(spread(evolved["accuracy"], ".1%"), apart),
        "draws_many": is_median(evolved["digits"], ".0f", at_least=MANY),
        "mostly_digit_like": is_median(evolved["digit_like"], ".0%", above=MOST),
        "halfway_digit_like": is_median(evolved["halfway"], ".0%", above=of_blends),
        "steps_even": is_median(evolved["largest_step"], ".1f", below=JUMP),
    }
    for name, form, sign in BESIDE_ADAM:
        worse = is_above(sign * adam[name], sign * evolved[name])
        findings[f"adam_{name}"] = Finding(against(evolved[name], adam[name], form), not worse)
    for name, form, sign in BESIDE_PLAIN:
        more = is_above(sign * vae[name], sign * adam[name])
        findings[f"vae_{name}"] = Finding(against(vae[name], adam[name], form), more)
    return findings | {
        "of_components": of_components,
        "of_blends": of_blends,
        "many": MANY,
        "filled": FILLED,
        "most": MOST,
        "side": SIDE,
        "steps": STEPS,
        "jump": JUMP,
    }


def is_above(some: Array, others: Array) -> bool:
    """Whether the least of some values is above the largest of others.

    >>> is_above(np.array([2, 3]), np.array([0, 1])), is_above(np.array([1, 3]), np.array([0, 2]))
    (True, False)
    """
    return bool(np.min(some) > np.max(others))
