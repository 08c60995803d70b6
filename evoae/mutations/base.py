"""What every mutation is: a base class with a default for all that is optional."""

import abc
from typing import ClassVar

import jax

from evoae.checks import Checked
from evoae.types import Hyper, Params, Perturbation, Population


class Mutation(Checked, abc.ABC):
    """A frozen description of how a child comes to differ from its parent.

    A subclass is a frozen dataclass with `sample` and `apply`; all else has a default.
    """

    adapted: ClassVar[str | None] = None
    """The field that self-adaptation changes, a float, for which `sample` then takes one float for
    each layer as well; None where it changes nothing."""

    def adapted_range(self) -> tuple[float, float]:
        """The range of that float: from steps lost in float32 to steps that saturate any network.

        A mutation whose float is not the length of a step overrides it.
        """
        return 1e-6, 1e3

    @abc.abstractmethod
    def sample(
        self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper
    ) -> Perturbation:
        """Describes the mutation of candidate `index`.

        All candidates of a generation are given the same key. Draw what they share from the key
        alone, and what belongs to one candidate from the key folded with the index. Then the draws
        do not depend on how many candidates there are, or on where they are drawn.
        """

    @abc.abstractmethod
    def apply(self, params: Params, perturbation: Perturbation) -> Params:
        """The child of one parent."""

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        """Children of a single parent as one changed weight each; None, as here, if they are not.

        As `evoae.Strategy.single_changes`, for a population whose perturbations are the mutation's.
        """
        return None
