"""The rules by which each of the paper's claims is judged, from what `claims` measured."""

import numpy as np

from evoae.experiments.paper.figure3 import diversities
from evoae.experiments.paper.parts import Arrays
from evoae.experiments.paper.verdicts import Claim, Statement, share, smaller, spread
from evoae.report.words import COLLAPSED

AGENTS, WEIGHTS = 10, 10  # where the paper found one sample to converge
FEW = 5  # agents, with which the paper found dead ends
MANY = 10  # mutated weights, with which the paper found the average image
SECONDS = 10.0  # "within seconds"
MOST = 0.5  # of the runs; more than that are most


def all_claims(found: Arrays) -> list[Claim]:
    """The claims in the order of the paper."""
    rules = (converges, dead_ends, more_agents, average_image, too_small, crossover)
    return [rule(found) for rule in rules]


def converges(found: Arrays) -> Claim:
    """One sample converges within seconds near ten agents and ten weights."""
    a, w = _place(found["agents"], AGENTS), _place(found["weights"], WEIGHTS)
    below = found["grid_error"][a, w] < found["black"]
    reached = found["grid_reached"][a, w]
    medians = np.median(found["grid_error"], axis=-1)
    best = np.unravel_index(np.argmin(medians), medians.shape)
    best_words = f"{found['agents'][best[0]]} agents, {found['weights'][best[1]]} weights"
    near = max(abs(int(best[0]) - a), abs(int(best[1]) - w)) <= 1
    return Claim(
        "one sample converges within seconds near ten agents and ten mutated weights",
        (
            Statement(
                "with ten and ten, nine of ten runs converge",
                share(below),
                bool(below.mean() >= 0.9),
            ),
            Statement(
                f"they do so within {SECONDS:g} s (median, their part of compiling included)",
                _seconds(np.median(reached)),
                bool(np.median(reached) <= SECONDS),
            ),
            Statement(
                "after equal evaluations the smallest median error of the heat map is at ten and "
                "ten, or in a cell beside it",
                f"{medians[best]:.4f} with {best_words}; {medians[a, w]:.4f} with ten and ten",
                near,
            ),
        ),
    )


def dead_ends(found: Arrays) -> Claim:
    """Two to five agents end in dead ends."""
    w, ten = _place(found["weights"], WEIGHTS), _place(found["agents"], AGENTS)
    few = [i for i, agents in enumerate(found["agents"]) if agents <= FEW]
    early = found["grid_early"][few, w] >= found["black"]
    late = found["grid_error"][few, w] >= found["black"]
    its, those_of_ten = found["grid_error"][few, w], found["grid_error"][ten, w]
    worse = [smaller(those_of_ten, errors) for errors in its]
    numbers = ", ".join(str(found["agents"][i]) for i in few)
    medians = ", ".join(f"{np.median(errors):.4f}" for errors in its)
    return Claim(
        "two to five agents end in dead ends",
        (
            Statement(
                f"with {numbers} agents, most runs have not converged after as many generations "
                "as ten agents had",
                share(early),
                bool(early.mean() > MOST),
            ),
            Statement(
                "most have not after as many evaluations as ten agents had, either",
                share(late),
                bool(late.mean() > MOST),
            ),
            Statement(
                "after as many evaluations, ten agents have smaller errors than each of them",
                f"median {np.median(those_of_ten):.4f} against {medians}",
                all(worse),
            ),
        ),
    )


def more_agents(found: Arrays) -> Claim:
    """More agents are slower and no better."""
    number, ten = found["more_agents"], _place(found["more_agents"], AGENTS)
    others = [i for i in range(len(number)) if number[i] > AGENTS]
    reached = np.median(found["more_reached"], axis=-1)
    names = ", ".join(str(number[i]) for i in others)

    def no_better(key: str, words: str) -> Statement:
        errors = found[key]
        medians = ", ".join(f"{np.median(errors[i]):.4f}" for i in others)
        return Statement(
            f"{words}, none of {names} agents have smaller errors than ten",
            f"median {medians}, against {np.median(errors[ten]):.4f}",
            not any(smaller(errors[i], errors[ten]) for i in others),
        )

    return Claim(
        "more agents are slower and no better",
        (
            Statement(
                f"with {names} agents it takes longer to converge than with ten (median, without "
                "compiling)",
                ", ".join(_seconds(reached[i]) for i in others)
                + f", against {_seconds(reached[ten])}",
                bool(all(reached[i] > reached[ten] for i in others)),
            ),
            no_better("more_equal", "after as many evaluations"),
            no_better("more_error", "after as many generations"),
        ),
    )


def average_image(found: Arrays) -> Claim:
    """With many mutated weights all outputs become the average image."""
    weights, outputs = found["many_weights"], found["many_outputs"]
    its = diversities(outputs, found["images"])
    one, many = _place(weights, 1), [i for i, n in enumerate(weights) if n >= MANY]
    medians = [float(np.median(its[i])) for i in many]
    names = ", ".join(str(weights[i]) for i in many)
    to_mean, to_digit = (found_by(outputs[many], found["images"]) for found_by in (_mean, _digit))
    return Claim(
        "with many mutated weights all outputs become the average image",
        (
            Statement(
                f"with {names} weights outputs differ from each other by less than "
                f"{COLLAPSED:.0%} of what the digits do (median over seeds)",
                ", ".join(f"{median:.3f}" for median in medians),
                max(medians) < COLLAPSED,
            ),
            Statement(
                "each time by less than with one weight",
                f"{np.median(its[one]):.3f} with one",
                all(smaller(its[i], its[one]) for i in many),
            ),
            Statement(
                "in most of these runs the outputs lie nearer to the mean of the digits than to "
                "any digit (mean absolute difference)",
                f"{share(to_mean < to_digit)}; median {np.median(to_mean):.4f} against "
                f"{np.median(to_digit):.4f}",
                bool((to_mean < to_digit).mean() > MOST),
            ),
        ),
    )


def too_small(found: Arrays) -> Claim:
    """Too small a rate is no good."""
    a, w = _place(found["agents"], AGENTS), _place(found["weights"], WEIGHTS)
    one, ten = found["grid_error"][a, _place(found["weights"], 1)], found["grid_error"][a, w]
    smallest, paper = found["scale_error"][0], found["scale_error"][_place(found["scales"], 1.0)]
    return Claim(
        "too small a mutation rate is no good",
        (
            Statement(
                "one digit: one mutated weight leaves larger errors than ten",
                f"{spread(one)} against {spread(ten)}",
                smaller(ten, one),
            ),
            Statement(
                f"one digit: mutations by U(-{found['scales'][0]:g}, {found['scales'][0]:g}) leave "
                "larger errors than by U(-1, 1)",
                f"{spread(smallest)} against {spread(paper)}",
                smaller(paper, smallest),
            ),
        ),
    )


def crossover(found: Arrays) -> Claim:
    """Crossover is not needed."""
    statements = []
    for key, words in (("crossover_one", "one digit"), ("crossover_ten", "ten digits")):
        single, several, crossed = found[key]
        for others, parents in ((several, "as many parents"), (single, "a single parent")):
            statements.append(
                Statement(
                    f"{words}: after equal evaluations, errors with uniform crossover are not "
                    f"smaller than without it and with {parents}",
                    f"{spread(crossed)} against {spread(others)}",
                    not smaller(crossed, others),
                )
            )
    return Claim("crossover is not needed", tuple(statements))


def _place(values: np.ndarray, value: float) -> int:
    """The index of a value that a budget must have."""
    places = np.flatnonzero(values == value)
    if not len(places):
        raise ValueError(f"budget must have {value:g} among {values.tolist()}")
    return int(places[0])


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if np.isfinite(value) else "never"


def _mean(outputs: np.ndarray, images: np.ndarray) -> np.ndarray:
    """How far outputs [*V, N, H, W, C] are from the mean image; [*V]."""
    return np.abs(outputs - images.mean(0)).mean((-1, -2, -3, -4))


def _digit(outputs: np.ndarray, images: np.ndarray) -> np.ndarray:
    """How far each output is from the digit that it is nearest to, the mean over N; [*V]."""
    differences = np.abs(outputs[..., None, :, :, :] - images).mean((-1, -2, -3))
    return differences.min(-1).mean(-1)
