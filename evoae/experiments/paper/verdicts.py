"""Claims, and the rules by which measurements decide whether they hold."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.stats

Verdict = Literal["holds", "holds partly", "does not hold"]

SIGNIFICANCE = 0.05  # of one-sided tests


class Statement(NamedTuple):
    """One measurable part of a claim.

    Attributes:
      text: what is stated, with the rule by which it is judged.
      figures: what was measured, in words.
      holds: whether the rule is met.
    """

    text: str
    figures: str
    holds: bool


class Claim(NamedTuple):
    """What the paper says, taken apart into statements.

    Attributes:
      text: the claim.
      statements: at least one.
    """

    text: str
    statements: tuple[Statement, ...]

    @property
    def verdict(self) -> Verdict:
        """What follows: all statements hold, some do, or none does.

        >>> Claim("a", (Statement("b", "1", True), Statement("c", "2", False))).verdict
        'holds partly'
        """
        held = [statement.holds for statement in self.statements]
        return "holds" if all(held) else "holds partly" if any(held) else "does not hold"


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
    test = scipy.stats.mannwhitneyu(values, other_values, alternative="less")
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
