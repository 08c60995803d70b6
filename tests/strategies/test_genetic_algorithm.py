"""The genetic algorithm: generations against plain NumPy, elites, invalid errors, parents."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import evoae
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm
from tests import numpy_reference

ONES = {"weights": jnp.ones(4)}


@functools.partial(jax.jit, static_argnums=0)
def ask(strategy, key, state):
    """As strategy.ask, and the candidates as whole networks."""
    population, state = strategy.ask(key, state)
    return population, population.dense(strategy), state


@functools.partial(jax.jit, static_argnums=0)
def tell(strategy, key, population, scores, state):
    return strategy.tell(key, population, scores, state)


@functools.partial(jax.jit, static_argnums=0)
def errors(fitness, candidates, images):
    return jax.vmap(fitness, (0, None))(candidates, images)


vectors_of = jax.jit(jax.vmap(evoae.models.varadi2021_vector))


def first_population(count):
    """Independent networks, as vectors in the direct order and as weights."""
    vectors = np.random.default_rng(0).uniform(-1, 1, (count, numpy_reference.NUM_WEIGHTS))
    vectors = vectors.astype(np.float32)
    return vectors, jax.jit(jax.vmap(evoae.models.varadi2021_params))(vectors)


def direct_positions():
    """For each position of a perturbation, the position of that weight in the direct order."""
    params = evoae.models.varadi2021_params(jnp.zeros(numpy_reference.NUM_WEIGHTS))
    _, unravel = ravel_pytree(params)
    counted = unravel(jnp.arange(numpy_reference.NUM_WEIGHTS, dtype=jnp.float32))
    return np.argsort(evoae.models.varadi2021_vector(counted))


@pytest.mark.parametrize(("num_weights", "shared"), [(1, True), (10, True), (10, False)])
def test_generations_equal_plain_numpy(key, num_weights, shared):
    digits = evoae.data.load("digits10", low=0.1, high=0.9).images[:3]
    images = np.float64(digits[..., 0])
    fitness = evoae.fitness.Reconstruction(evoae.models.varadi2021(), error="mae")
    mutation = Sparse(num_weights, shared_positions=shared)
    strategy = GeneticAlgorithm(population_size=6, mutation=mutation)
    vectors, params = first_population(6)
    several = (num_weights, shared) == (10, True)  # else the first generation has children, too
    if not several:
        vectors, params = np.repeat(vectors[:1], 6, axis=0), evoae.trees.take(params, 0)
    state = strategy.init(key, evoae.Stacked(params) if several else params)
    reference = np.float64(vectors)
    where = direct_positions()
    for generation in range(3):
        population, candidates, state = ask(strategy, jax.random.fold_in(key, generation), state)
        if generation > 0 or not several:  # a first population is evaluated itself
            positions = where[np.asarray(population.perturbation.positions)]  # [P, K]
            values = np.float64(population.perturbation.values)
            if shared:
                reference = numpy_reference.mutate(reference, positions[1], values.T)
            else:
                for child in range(1, 6):
                    for position, value in zip(positions[child], values[child], strict=True):
                        reference[child, position] += value
        np.testing.assert_allclose(vectors_of(candidates), reference, atol=1e-6)
        expected = numpy_reference.errors(reference, images)
        scores = errors(fitness, candidates, digits)
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        state, info = tell(strategy, key, population, scores, state)
        reference = numpy_reference.select(reference, expected)
        survivor = evoae.models.varadi2021_vector(state.best)
        np.testing.assert_allclose(survivor, reference[0], atol=1e-6)
        np.testing.assert_allclose(state.best_fitness, expected.min(), atol=1e-5)
        np.testing.assert_allclose(info.best_fitness, expected.min(), atol=1e-5)
        np.testing.assert_allclose(info.mean_fitness, expected.mean(), atol=1e-5)
        assert int(info.num_invalid) == 0
        assert int(state.generation) == generation + 1


def one_generation(strategy, state, scores, seed=1):
    population, candidates, state = ask(strategy, jax.random.key(seed), state)
    state, info = tell(strategy, jax.random.key(seed), population, jnp.asarray(scores), state)
    return candidates, state, info


def test_the_best_candidates_become_the_elites_best_first(key):
    strategy = GeneticAlgorithm(8, num_elites=3, mutation=Gaussian(0.5))
    scores = [5.0, 7.0, 6.0, 2.0, 9.0, 4.0, 8.0, 3.0]
    candidates, state, _ = one_generation(strategy, strategy.init(key, ONES), scores)
    np.testing.assert_array_equal(
        state.parents["weights"], candidates["weights"][jnp.array([3, 7, 5])]
    )
    np.testing.assert_array_equal(state.fitness, [2.0, 3.0, 4.0])
    # The elites come back first, unchanged, and are scored again.
    again, state, _ = one_generation(strategy, state, [1.0, 9.0, 0.5, *[8.0] * 5])
    np.testing.assert_array_equal(again["weights"][:3], candidates["weights"][jnp.array([3, 7, 5])])
    np.testing.assert_array_equal(state.fitness, [0.5, 1.0, 8.0])


def test_an_elite_gives_way_to_what_is_better_not_to_its_equal(key):
    strategy = GeneticAlgorithm(4, mutation=Gaussian(0.5))
    _, state, _ = one_generation(strategy, strategy.init(key, ONES), [2.0, 2.0, 2.0, 2.0])
    np.testing.assert_array_equal(state.best["weights"], 1.0)


def test_children_descend_from_all_elites(key):
    strategy = GeneticAlgorithm(200, num_elites=3, mutation=Gaussian(1e-3))
    _, state, _ = one_generation(strategy, strategy.init(key, ONES), jnp.arange(200.0))
    population, candidates, _ = ask(strategy, key, state)
    assert population.parent_ids.shape == (200, 2)
    counts = np.bincount(np.asarray(population.parent_ids[3:, 0]), minlength=3)
    assert counts.min() > 40  # of 197, a third each
    parents = population.parents["weights"][population.parent_ids[:, 0]]
    assert float(jnp.abs(candidates["weights"] - parents).max()) < 1e-2


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
def test_invalid_errors_rank_last_and_are_counted(key, bad):
    strategy = GeneticAlgorithm(6, num_elites=2, mutation=Gaussian(0.5))
    scores = [bad, 3.0, bad, bad, 1.0, bad]
    candidates, state, info = one_generation(strategy, strategy.init(key, ONES), scores)
    np.testing.assert_array_equal(state.fitness, [1.0, 3.0])
    np.testing.assert_array_equal(
        state.parents["weights"], candidates["weights"][jnp.array([4, 1])]
    )
    assert int(info.num_invalid) == 4
    assert float(info.best_fitness) == 1.0
    assert float(info.mean_fitness) == 2.0


def test_the_first_population_is_evaluated_as_it_is(key):
    strategy = GeneticAlgorithm(6, mutation=Gaussian(0.5))
    networks = {"weights": jax.random.normal(key, (6, 4))}
    state = strategy.init(key, evoae.Stacked(networks))
    candidates, state, _ = one_generation(strategy, state, [3.0, 2.0, 1.0, 4.0, 5.0, 6.0])
    np.testing.assert_array_equal(candidates["weights"], networks["weights"])
    np.testing.assert_array_equal(state.parents["weights"], networks["weights"][2:3])
    candidates, _, _ = one_generation(strategy, state, jnp.arange(6.0))
    np.testing.assert_array_equal(candidates["weights"][0], networks["weights"][2])
    assert not np.isclose(candidates["weights"][1:], networks["weights"][1:]).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GeneticAlgorithm(1), "GeneticAlgorithm: population_size .* from 2, got 1"),
        (lambda: GeneticAlgorithm(8.0), "GeneticAlgorithm: population_size must .* got 8.0"),
        (
            lambda: GeneticAlgorithm(8, num_elites=8),
            "num_elites must be below population_size = 8, got 8",
        ),
        (lambda: GeneticAlgorithm(8, num_elites=0), "num_elites .* from 1, got 0"),
        (lambda: GeneticAlgorithm(8, mutation="sparse"), "mutation must be .* got 'sparse'"),
        (lambda: GeneticAlgorithm(8, mutation=Sparse), "mutation must be .* got <class"),
    ],
)
def test_errors_at_construction(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("params", "hyper", "message"),
    [
        ({}, None, "params must hold at least one array"),
        ({"weights": jnp.arange(3)}, None, r"params\['weights'\] must be .*floats, got int"),
        ({"weights": 3.0}, None, r"params\['weights'\] must be an array of floats, got 3.0"),
        (
            evoae.Stacked({"weights": jnp.zeros((7, 4))}),
            None,
            r"stack population_size=8 .*\(7, 4\)",
        ),
        (ONES, {"rate": 1.0}, "hyper has no 'rate'; it has crossover_rate, mutation, selection"),
        (ONES, {"mutation": {"sigma": 1.0}}, r"hyper\['mutation'\] has no 'sigma'; it has scale"),
    ],
)
def test_errors_of_init(key, params, hyper, message):
    with pytest.raises(ValueError, match=message):
        GeneticAlgorithm(8).init(key, params, hyper)


def test_fitness_of_another_shape_is_an_error(key):
    strategy = GeneticAlgorithm(8)
    with pytest.raises(ValueError, match=r"fitness must have shape \(8,\).* got \(8, 1\)"):
        one_generation(strategy, strategy.init(key, ONES), jnp.zeros((8, 1)))
