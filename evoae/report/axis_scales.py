"""Which axes are logarithmic, and where: the same in the pictures and on the page."""

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import LogLocator


def is_wide(errors: npt.NDArray[np.floating]) -> bool:
    """Whether errors [V] differ so much, more than tenfold, that their axis is logarithmic.

    >>> is_wide(np.array([0.1, 2.0])), is_wide(np.array([0.1, 0.3])), is_wide(np.array([0.0, 2.0]))
    (True, False, False)
    """
    return bool(errors.size and errors.min() > 0 and errors.max() > 10 * errors.min())


def is_long(generations: npt.NDArray[np.floating]) -> bool:
    """Whether the last is over 1,000 times the first, 0 counting as 1: progress is fast at first.

    >>> is_long(np.array([0.0, 2000.0])), is_long(np.array([10.0, 2000.0]))
    (True, False)
    """
    return bool(generations.max() > 1000 * max(generations.min(), 1))


def locate_decades(first: float, last: float, most: int | None = None) -> LogLocator:
    """Chooses the ticks of a logarithmic axis: 1, 2 and 5 where it has less than three decades.

    About `most` decades have a tick; None lets matplotlib choose.
    """
    return LogLocator(subs=(1, 2, 5) if last < 1000 * first else (1,), numticks=most)
