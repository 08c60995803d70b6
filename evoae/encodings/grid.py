"""The axes of an array of weights, as encodings that know of neighbours see them."""

import math

LONGEST = 64  # a longer axis is split: such as 784 units, which are more of a 28 x 28 image


def split(length: int) -> tuple[int, ...]:
    """A long axis as rows and columns, of factors as equal as may be; a short one as it is.

    >>> split(784), split(10), split(160), split(67)
    ((28, 28), (10,), (10, 16), (67,))
    """
    rows = max(n for n in range(1, math.isqrt(length) + 1) if length % n == 0)
    return (length,) if length <= LONGEST or rows == 1 else (rows, length // rows)


def grid(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an array with its long axes split.

    >>> grid((784, 10)), grid((8, 4, 3, 3)), grid(())
    ((28, 28, 10), (8, 4, 3, 3), (1,))
    """
    return sum(map(split, shape), ()) or (1,)
