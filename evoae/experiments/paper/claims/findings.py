"""The rules by which each of the paper's claims is judged."""

from typing import Any

import numpy as np

from evoae.experiments.paper.harness import networks
from evoae.experiments.paper.harness.kept_parts import Arrays
from evoae.experiments.paper.harness.statements import (
    Finding,
    is_larger,
    is_most,
    is_smaller,
    medians,
    share,
    smaller,
)
from evoae.report.words import COLLAPSED

AGENTS, WEIGHTS = 10, 10  # where the paper found one sample to converge
FEW = 5  # agents, with which the paper found dead ends
MANY = 10  # mutated weights, with which the paper found the average image
SECONDS = 10.0  # "within seconds"


def judge(found: Arrays) -> dict[str, Any]:
    """What was found of all claims."""
    rules = (
        *(judge_convergence, judge_few_agents, judge_more_agents),
        *(judge_many_weights, judge_small_rates, judge_crossover),
    )
    return {name: finding for rule in rules for name, finding in rule(found).items()}


def judge_convergence(found: Arrays) -> dict[str, Any]:
    """One sample converges within seconds near ten agents and ten weights."""
    a, w = _place(found["agents"], AGENTS), _place(found["weights"], WEIGHTS)
    below = found["grid_error"][a, w] < found["black"]
    reached = np.median(found["grid_reached"][a, w])
    middle = np.median(found["grid_error"], axis=-1)
    best = np.unravel_index(np.argmin(middle), middle.shape)
    words = f"{found['agents'][best[0]]} agents, {found['weights'][best[1]]} weights"
    return {
        "converge": Finding(share(below), bool(below.mean() >= 0.9)),
        "in_seconds": Finding(_seconds(reached), bool(reached <= SECONDS)),
        "best_near_ten": Finding(
            f"{middle[best]:.4f} with {words}; {middle[a, w]:.4f} with ten and ten",
            max(abs(int(best[0]) - a), abs(int(best[1]) - w)) <= 1,
        ),
        "within": SECONDS,
    }


def judge_few_agents(found: Arrays) -> dict[str, Any]:
    """Two to five agents end in dead ends."""
    w, ten = _place(found["weights"], WEIGHTS), _place(found["agents"], AGENTS)
    few = np.flatnonzero(found["agents"] <= FEW)
    early, late = (found[f"grid_{when}"][few, w] for when in ("early", "error"))
    of_ten = found["grid_error"][ten, w]
    return {
        "dead_early": is_most(early >= found["black"]),
        "dead_late": is_most(late >= found["black"]),
        "few_worse": Finding(
            f"median {np.median(of_ten):.4f} against {medians(late)}",
            all(smaller(of_ten, errors) for errors in late),
        ),
        "few": _join(found["agents"][few]),
    }


def judge_more_agents(found: Arrays) -> dict[str, Any]:
    """More agents are slower and no better."""
    number, ten = found["more_agents"], _place(found["more_agents"], AGENTS)
    others = np.flatnonzero(number > AGENTS)
    reached = np.median(found["more_reached"], axis=-1)

    def is_no_better(errors: np.ndarray) -> Finding:
        return Finding(
            f"median {medians(errors[others])}, against {np.median(errors[ten]):.4f}",
            not any(smaller(its, errors[ten]) for its in errors[others]),
        )

    return {
        "more_slower": Finding(
            f"{', '.join(map(_seconds, reached[others]))}, against {_seconds(reached[ten])}",
            bool((reached[others] > reached[ten]).all()),
        ),
        "more_equal_evaluations": is_no_better(found["more_equal"]),
        "more_equal_generations": is_no_better(found["more_error"]),
        "more": _join(number[others]),
    }


def judge_many_weights(found: Arrays) -> dict[str, Any]:
    """With many mutated weights all outputs become the average image."""
    weights, images = found["many_weights"], found["images"]
    one, many = _place(weights, 1), np.flatnonzero(weights >= MANY)
    outputs = found["many_outputs"][many]
    its = networks.compute_diversities(found["many_outputs"], images)
    to_mean = np.abs(outputs - images.mean(0)).mean((-1, -2, -3, -4))
    to_each = np.abs(outputs[..., None, :, :, :] - images).mean((-1, -2, -3))
    to_digit = to_each.min(-1).mean(-1)  # that an output is nearest to
    nearer, distances = is_most(to_mean < to_digit), medians([to_mean.ravel(), to_digit.ravel()])
    return {
        "many_alike": Finding(
            medians(its[many], ".3f"), bool(np.median(its[many], axis=-1).max() < COLLAPSED)
        ),
        "many_less": Finding(
            f"{np.median(its[one]):.3f} with one", all(smaller(row, its[one]) for row in its[many])
        ),
        "many_average": Finding(
            f"{nearer.figures}; median {distances.replace(', ', ' against ')}", nearer.holds
        ),
        "many": _join(weights[many]),
    }


def judge_small_rates(found: Arrays) -> dict[str, Any]:
    """Too small a rate is no good."""
    with_ten = found["grid_error"][_place(found["agents"], AGENTS)]
    one, ten = (with_ten[_place(found["weights"], number)] for number in (1, WEIGHTS))
    scales, errors = found["scales"], found["scale_error"]
    return {
        "one_weight": is_larger(one, ten),
        "small_scale": is_larger(errors[0], errors[_place(scales, 1.0)]),
        "smallest": scales[0],
    }


def judge_crossover(found: Arrays) -> dict[str, Any]:
    """Crossover is not needed."""
    findings = {}
    for key in ("crossover_one", "crossover_ten"):
        single, several, crossed = found[key]
        findings[f"{key}_several"] = is_smaller(crossed, several).denied
        findings[f"{key}_single"] = is_smaller(crossed, single).denied
    return findings


def _place(values: np.ndarray, value: float) -> int:
    """The index of a value that a budget must have."""
    places = np.flatnonzero(values == value)
    if not len(places):
        raise ValueError(f"budget must have {value:g} among {values.tolist()}")
    return int(places[0])


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if np.isfinite(value) else "never"


def _join(values: np.ndarray) -> str:
    return ", ".join(map(str, values))
