"""Claims, and the rules by which measurements decide whether they hold."""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.experiments.paper.harness.packages import load_package

Verdict = Literal["holds", "holds partly", "does not hold"]

SIGNIFICANCE = 0.05  # of one-sided tests
MOST = 0.5  # of the runs; more than that are most


class Finding(NamedTuple):
    """What was found of a statement."""

    figures: str  # what was measured, in words
    holds: bool  # whether the statement is met

    @property
    def denied(self) -> "Finding":
        """The same figures, for the opposite statement."""
        return Finding(self.figures, not self.holds)


class Statement(NamedTuple):
    """One measurable part of a claim."""

    text: str  # what is stated, with the rule by which it is judged
    figures: str  # what was measured, in words
    holds: bool  # whether the rule is met


class Claim(NamedTuple):
    """What the paper says, taken apart into statements."""

    text: str  # the claim
    statements: tuple[Statement, ...]  # at least one

    @property
    def verdict(self) -> Verdict:
        """What follows: all statements hold, some do, or none does.

        >>> Claim("a", (Statement("b", "1", True), Statement("c", "2", False))).verdict
        'holds partly'
        """
        held = [statement.holds for statement in self.statements]
        return "holds" if all(held) else "holds partly" if any(held) else "does not hold"


def read_claims(text: str, found: Mapping[str, Any]) -> list[Claim]:
    r"""The claims of a page, with what was found of each.

    Args:
      text: a heading of the third level for each claim, and below it a list of statements, each of
        which ends in ": {NAME}"; within, {NAME} is a number.
      found: a `Finding` for each statement, and the numbers, by their names.

    >>> page = "### all is well\n\n- it rains on {n} days: {rains}\n- it is warm: {warm}\n"
    >>> found = {"n": 2, "rains": Finding("1 of 2", True), "warm": Finding("3 degrees", False)}
    >>> read_claims(page, found)[0].statements[0]
    Statement(text='it rains on 2 days', figures='1 of 2', holds=True)
    """
    claims = []
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        claim, *items = re.split(r"^- ", part, flags=re.MULTILINE)
        statements = []
        for item in items:
            words, _, name = " ".join(item.split()).rpartition(": ")
            statements.append(Statement(words.format(**found), *found[name.strip("{}")]))
        claims.append(Claim(claim.strip(), tuple(statements)))
    return claims


def is_median(
    values: npt.ArrayLike,
    form: str = ".4f",
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
) -> Finding:
    """Whether the median over seeds is above one value, at least one, or below one.

    >>> is_median([0.1, 0.3, 0.2], ".1f", below=0.25)
    Finding(figures='0.2 (0.1 to 0.3)', holds=True)
    """
    middle = np.median(np.asarray(values))
    holds = (
        (above is None or middle > above)
        and (at_least is None or middle >= at_least)
        and (below is None or middle < below)
    )
    return Finding(spread(values, form), bool(holds))


def is_most(held: npt.ArrayLike) -> Finding:
    """Whether something is so in more than half of the runs."""
    return Finding(share(held), bool(np.asarray(held, bool).mean() > MOST))


def is_smaller(some: npt.ArrayLike, others: npt.ArrayLike, form: str = ".4f") -> Finding:
    """Whether some values are `smaller` than others."""
    return Finding(against(some, others, form), smaller(some, others))


def is_larger(some: npt.ArrayLike, others: npt.ArrayLike, form: str = ".4f") -> Finding:
    """Whether others are `smaller`."""
    return Finding(against(some, others, form), smaller(others, some))


def against(some: npt.ArrayLike, others: npt.ArrayLike, form: str = ".4f") -> str:
    """The medians and ranges of two sets of values, in words."""
    return f"{spread(some, form)} against {spread(others, form)}"


def smaller(some: npt.ArrayLike, others: npt.ArrayLike) -> bool:
    """Whether some values are smaller than others: one-sided Mann-Whitney test, p < 0.05.

    Infinite values, of runs without a finite error, rank last. Three against three values can never
    pass; four against four can.

    Args:
      some: from seeds, [S].
      others: from other runs, [T].

    Source: Mann and Whitney (1947), "On a test of whether one of two random variables is
    stochastically larger than the other".

    >>> smaller([1, 2, 3, 4], [5, 6, 7, 8]), smaller([1, 2, 3, 4], [1, 2, 3, 4])
    (True, False)
    """
    values, other_values = np.asarray(some, np.float64), np.asarray(others, np.float64)
    if len(np.unique(np.concatenate([values, other_values]))) == 1:
        return False  # for which the test has no p
    test = load_package("scipy.stats").mannwhitneyu(values, other_values, alternative="less")
    return bool(test.pvalue < SIGNIFICANCE)


def share(held: npt.ArrayLike) -> str:
    """How many of some runs, in words.

    >>> share([True, False, True])
    '2 of 3'
    """
    flags = np.asarray(held, bool)
    return f"{int(flags.sum())} of {flags.size}"


def spread(values: npt.ArrayLike, form: str = ".4f") -> str:
    """The median and the range of some values, in words.

    >>> spread([0.1, 0.3, 0.2], ".1f")
    '0.2 (0.1 to 0.3)'
    """
    found = np.asarray(values, np.float64)
    return f"{np.median(found):{form}} ({found.min():{form}} to {found.max():{form}})"


def medians(rows: npt.ArrayLike, form: str = ".4f") -> str:
    """The median of each of some rows of values, in words.

    >>> medians([[1, 2, 3], [4, 5, 6]], ".0f")
    '2, 5'
    """
    return ", ".join(f"{np.median(row):{form}}" for row in np.asarray(rows))
