"""What every strategy is: a base class with a default for all that is optional."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from evoae.checks import Checked, check_instance
from evoae.fitness.outputs import Outputs
from evoae.types import Hyper, Info, Params, Population


class Strategy(Checked, abc.ABC):
    """A frozen description of a search; its arrays are in the state that its methods return.

    A subclass is a frozen dataclass with `init`, `ask`, `tell`, `express` and a `population_size`,
    a field or a property; all else has a default. Its state is a `NamedTuple` that has at least
    `generation` (int32), `best` (Params) and `best_fitness` (float32), and `hyper`, what
    `evoae.trees.hyperparameters` finds in the description: all floats, also those of operators.
    They may change during a run without compiling again.
    """

    takes_migrants: ClassVar[bool] = False
    """Whether there is an `immigrate`."""

    if TYPE_CHECKING:
        # No property in truth: a dataclass would take it for the default of its field.
        @property
        def population_size(self) -> int:
            """Candidates a generation, P."""

    @property
    def num_networks(self) -> int:
        """Networks to start from: 1, or as many as `init` takes as `evoae.Stacked`."""
        return 1

    @abc.abstractmethod
    def init(self, key: jax.Array, params: Params, hyper: Hyper | None = None) -> Any:
        """The first state.

        Args:
          key: for all random draws.
          params: one network, or several of them (`evoae.Stacked`) where `num_networks` says so.
            A strategy may also begin with a whole population.
          hyper: floats that replace those of the description, by name; some or all.
        """

    @abc.abstractmethod
    def ask(self, key: jax.Array, state: Any) -> tuple[Population, Any]:
        """The next candidates, and the state that `tell` takes with their errors."""

    @abc.abstractmethod
    def tell(
        self, key: jax.Array, population: Population, fitness: Any, state: Any
    ) -> tuple[Any, Info]:
        """The next state, from the errors [P] of the candidates: smaller is better.

        Where `reads_outputs` is True, `fitness` is an `evoae.fitness.OutputSums` instead, or all
        `evoae.fitness.Outputs`.
        """

    @abc.abstractmethod
    def express(self, population: Population, index: jax.Array) -> Params:
        """Candidate `index` as a whole network.

        It finds the parents by `population.parent_ids`, since the candidates of several populations
        may be joined (`evoae.strategies.Islands`).
        """

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        """Candidates 1..P-1 as one changed weight each, which is faster to evaluate.

        Returns:
          Where each differs from candidate 0, the single parent, and what is added there: int32
          [P-1] (or () where all change the same weight) in the order of `evoae.trees.ravel`, and
          float32 [P-1]. None, as here, where candidates differ in more.
        """
        return None

    @property
    def has_short_changes(self) -> bool:
        """Whether single changes are so short that outputs are linear in them: no."""
        return False

    def reads_outputs(self, state: Any) -> bool:
        """Whether `tell` takes what `sum_outputs` makes of outputs, instead of errors: no.

        The answer follows from the state's type alone.
        """
        return False

    def sum_outputs(self, population: Population, outputs: Outputs, state: Any) -> Any:
        """What `tell` needs of the candidates' outputs: a pytree of sums over outputs.

        It is called for each part of a batch, and the results are added. So only sums leave the
        evaluation, and one part bounds the memory.

        Args:
          population: as `ask` returned it.
          outputs: of all candidates, on a part of the batch.
          state: as `ask` returned it.

        Raises:
          NotImplementedError: a strategy that reads only errors.
        """
        raise NotImplementedError(f"{type(self).__name__} reads no outputs")

    def is_midway(self, state: Any) -> bool:
        """Whether `ask` and `tell` come once more before the generation ends: no.

        The answer follows from the state's type alone.
        """
        return False

    def phase(self, state: Any) -> tuple[Self, int | None]:
        """The strategy of the next generations, and their largest number: itself, for all.

        For a search whose populations grow: each size is a program of its own. `evolve` asks
        between two programs, with a state whose numbers can be read. The number must follow from
        the state alone: then the generations do not depend on where a run is stopped and resumed.
        """
        return self, None

    def largest_phase(self, state: Any) -> Self:
        """The strategy of those generations that need the most memory: itself.

        It is called with shapes instead of arrays.
        """
        return self

    def num_evaluations(self, state: Any) -> int:
        """How many candidates have been evaluated so far: a population each generation.

        It is called on the host, with a state whose numbers can be read.
        """
        return self.population_size * int(state.generation)

    def has_final_shapes(self, state: Any) -> bool:
        """Whether the arrays of the state keep their shapes from here on: yes.

        The first generations of some strategies change them, such as from a whole population to its
        elites. Until this is True, each generation is compiled by itself.
        """
        return True

    def fitted_to(self, num_generations: int) -> Self:
        """The same strategy for a run of that many generations: itself.

        A strategy with phases, or with steps that shrink towards the end, fits them to the run.
        """
        return self

    def immigrate(self, state: Any, params: Params, fitness: jax.Array) -> Any:
        """The state after networks from elsewhere were taken in, for one that `takes_migrants`.

        It is called right after `tell`, and must not lose the best so far.

        Args:
          state: as `tell` returned it.
          params: the networks; leaves [M, ...].
          fitness: their errors on the data of this generation, float32 [M].

        Raises:
          NotImplementedError: a strategy that takes none.
        """
        raise NotImplementedError(f"{type(self).__name__} takes in no networks from elsewhere")


def check_flags() -> None:
    """Raises a `ValueError` where JAX is set to stop at what every search has."""
    if jax.config.jax_debug_infs:  # type: ignore[attr-defined]
        raise ValueError("jax_debug_infs must be off: an error is infinite until it is known")


def check_key(name: str, key: Any, axes: int = 0) -> None:
    """Raises a `ValueError` unless it is a key of `jax.random`, old or new, or an array of such."""
    dtype, ndim = getattr(key, "dtype", None), getattr(key, "ndim", None)
    new = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not ((new and ndim == axes) or (dtype == np.uint32 and ndim == axes + 1)):
        many = "an array of keys [R]" if axes else "one"
        raise ValueError(f"{name} must be {many} of jax.random, got {key!r}")


def check_strategy(name: str, value: object) -> None:
    """Raises a `ValueError` unless the value is a strategy."""
    check_instance(name, value, Strategy, "evoae.strategies")
    if not hasattr(value, "population_size"):
        raise ValueError(
            f"{name} must have a population_size, its candidates a generation; got {value!r}"
        )
