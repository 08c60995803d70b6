"""Any number is taken where a number goes, and what is annotated `float` is a hyperparameter."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import crossovers, encodings, mutations, strategies
from evoae.checks import field_types
from evoae.strategies import GeneticAlgorithm
from evoae.trees import hyperparameters

REQUIRED = {
    strategies.Islands: {"strategy": GeneticAlgorithm(8)},
    strategies.SuccessiveHalving: {"strategy": GeneticAlgorithm(8)},
}
FORMS = {
    bool: (np.bool_, np.array),
    int: (np.int32, np.int64, np.uint16, np.array),
    float: (np.float32, np.float64, np.array),
}
DESCRIPTIONS = [
    getattr(module, name)
    for module in (mutations, crossovers, strategies, encodings)
    for name in module.__all__
    if dataclasses.is_dataclass(getattr(module, name)) and name not in ("DecodedFitness", "Decoder")
]
FIELDS = [
    (cls, name, kind)
    for cls in DESCRIPTIONS
    for name, kind in field_types(cls).items()
    if kind in FORMS
]


@pytest.mark.parametrize(("cls", "name", "kind"), FIELDS)
def test_a_field_takes_any_number_of_its_kind(cls, name, kind):
    plain = cls(**REQUIRED.get(cls, {}))
    # A float32, so that all forms are equal.
    value = kind(np.float32(getattr(plain, name))) if kind is float else getattr(plain, name)
    plain = dataclasses.replace(plain, **{name: value})
    forms = [form(value) for form in FORMS[kind]]
    if kind is float and value.is_integer():
        forms += [int(value), np.int64(value)]
    for form in forms:
        other = dataclasses.replace(plain, **{name: form})
        assert repr(other) == repr(plain)  # the type, too
        assert other == plain
        assert hash(other) == hash(plain)


def test_every_float_of_a_strategy_is_a_hyperparameter():
    floats = {(cls, name) for cls, name, kind in FIELDS if kind is float}
    assert len(floats) > 20
    for cls in DESCRIPTIONS:
        found = hyperparameters(cls(**REQUIRED.get(cls, {})))
        assert {name for its, name in floats if its is cls} == {
            name for name, value in found.items() if not isinstance(value, dict)
        }
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found))


def test_tuples_of_numbers_are_made_of_pythons_numbers():
    assert repr(encodings.CPPN([np.int64(5), np.int32(4)])) == repr(encodings.CPPN((5, 4)))
    scales = mutations.Gaussian(1, [np.float32(0.5), 2])
    assert repr(scales) == repr(mutations.Gaussian(1.0, (0.5, 2.0)))


@pytest.mark.parametrize("value", [True, np.True_, "1", np.ones(1), 10**400, np.float32("nan")])
def test_what_is_no_number_is_named(value):
    with pytest.raises(ValueError, match="Gaussian: scale must be a finite number"):
        mutations.Gaussian(value)
    with pytest.raises(ValueError, match="LowRank: rank must be a whole number from 1"):
        mutations.LowRank(rank=value if type(value) is not int else 2.0)


@dataclasses.dataclass(frozen=True)
class Shrink(mutations.Mutation):
    """A mutation as a user writes it, without a check."""

    rate: float = 0.1
    unknown: "Nowhere | None" = None  # noqa: F821

    def sample(self, key, index, params, hyper):
        key = jax.random.fold_in(key, index)
        return jax.random.uniform(key, minval=1 - hyper["rate"], maxval=1 + hyper["rate"])

    def apply(self, params, perturbation):
        return jax.tree.map(lambda weights: weights * perturbation, params)


@pytest.mark.parametrize("rate", [1, 1.0, np.float32(1), np.int64(1)])
def test_a_float_of_a_users_class_is_one_by_its_annotation(rate):
    found = hyperparameters(GeneticAlgorithm(8, mutation=Shrink(rate)))
    assert found["mutation"] == {"rate": 1.0}
    assert found["mutation"]["rate"].dtype == jnp.float32


def test_a_crossover_and_a_mutation_with_other_floats_run(key):
    mutation, crossover = Shrink(rate=1), crossovers.Uniform(np.float32(0.3))
    strategy = GeneticAlgorithm(np.int64(8), 2, mutation, crossover, np.float32(0.5))
    state = strategy.init(key, {"weights": jnp.ones(5)})
    error = lambda params, batch: jnp.square(params["weights"]).mean()  # noqa: E731
    state, _ = evoae.evolve(key, strategy, error, None, state, num_generations=5)
    assert state.best_fitness < 1
    assert state.hyper["crossover"]["rate"] == np.float32(0.3)
