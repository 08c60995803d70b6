"""Arrays in a description that is frozen and hashed by value."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class HeldArrays:
    """A tree of arrays that never change; two with equal contents are equal.

    >>> one, same, other = (HeldArrays.of({"mean": np.full(2, x)}) for x in (1.0, 1.0, 2.0))
    >>> one == same, hash(one) == hash(same), one == other
    (True, True, False)
    """

    structure: Any  # the tree
    digest: str  # the SHA-256 of the types, shapes and values of all arrays
    # the arrays, in the order of `jax.tree.leaves`
    leaves: tuple[npt.NDArray[Any], ...] = dataclasses.field(compare=False, repr=False)

    @classmethod
    def of(cls, tree: Any) -> "HeldArrays":
        """Holds a copy of the arrays of a tree."""
        leaves, structure = jax.tree.flatten(tree)
        arrays, digest = tuple(np.array(leaf) for leaf in leaves), hashlib.sha256()
        for array in arrays:
            array.setflags(write=False)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        return cls(structure, digest.hexdigest(), arrays)

    @property
    def tree(self) -> Any:
        """The tree, with the arrays that are held."""
        return jax.tree.unflatten(self.structure, self.leaves)


def hold_collections(collections: object) -> HeldArrays | None:
    """The collections that stand beside "params", hashed by value; None where there are none.

    Raises:
      ValueError: anything else, or collections with "params".
    """
    if collections is None or isinstance(collections, HeldArrays):
        return collections
    if not isinstance(collections, Mapping) or "params" in collections:
        names = sorted(collections) if isinstance(collections, Mapping) else repr(collections)
        raise ValueError(
            'collections must be what model.init gives beside "params", as {name: arrays}, '
            f"got {names}"
        )
    return HeldArrays.of(dict(collections)) if collections else None
