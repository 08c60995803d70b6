"""A crossed child has each weight from a parent, or from between them, as its perturbation says."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import evoae
from evoae.crossovers import Arithmetic, ByLayer, OnePoint, Uniform
from evoae.mutations import Gaussian
from evoae.strategies import GeneticAlgorithm

ALL = [Uniform(0.3), OnePoint(), ByLayer(0.3), Arithmetic()]
every_crossover = pytest.mark.parametrize("crossover", ALL, ids=str)

# Layers of 6, 8 and 2 weights; arrays of equal shape, which must not get equal choices.
FIRST = {
    "params": {
        "decoder": {"0": {"bias": jnp.zeros(2), "kernel": jnp.zeros((2, 2))}},
        "encoder": {
            "0": {"a": jnp.zeros((2, 2)), "b": jnp.zeros((2, 2))},
            "1": {"bias": jnp.zeros(2)},
        },
    }
}
LAYERS = np.repeat([0, 1, 2], [6, 8, 2])
SECOND = jax.tree.map(jnp.ones_like, FIRST)
COUNT = 2000


@functools.partial(jax.jit, static_argnums=0)
def children_of(crossover, key, first, second):
    """Genotypes and vectors [COUNT, D] of many children of two parents."""
    hyper = evoae.trees.hyperparameters(crossover)

    def child(index):
        perturbation = crossover.sample(key, index, first, hyper)
        return perturbation, evoae.trees.ravel(crossover.apply(first, second, perturbation))

    return jax.vmap(child)(jnp.arange(COUNT))


def vectors(crossover, seed=0):
    perturbation, vectors = children_of(crossover, jax.random.key(seed), FIRST, SECOND)
    return perturbation, np.asarray(vectors)


def test_uniform_takes_each_weight_by_itself():
    _, children = vectors(Uniform(0.3))
    assert set(np.unique(children)) == {0, 1}
    counts = children.sum(0)  # of each weight, over the children
    assert np.all(scipy.stats.binom(COUNT, 0.3).cdf(counts) > 1e-4)
    assert np.all(scipy.stats.binom(COUNT, 0.3).sf(counts) > 1e-4)
    assert np.abs(np.corrcoef(children.T) - np.eye(16)).max() < 0.1


def test_one_point_joins_a_first_and_a_last_part():
    perturbation, children = vectors(OnePoint())
    points = np.asarray(perturbation)
    np.testing.assert_array_equal(children, np.arange(16) >= points[:, None])
    counts = np.bincount(points, minlength=16)
    assert counts[0] == 0  # both parents have their part
    assert scipy.stats.chisquare(counts[1:]).pvalue > 0.01


def test_by_layer_takes_layers_whole_and_each_by_itself():
    perturbation, children = vectors(ByLayer(0.3))
    np.testing.assert_array_equal(children, np.asarray(perturbation)[:, LAYERS])
    kinds = np.asarray(perturbation) @ [4, 2, 1]
    expected = [0.3**k * 0.7 ** (3 - k) for k in map(int.bit_count, range(8))]
    counts = np.bincount(kinds, minlength=8)
    assert scipy.stats.chisquare(counts, COUNT * np.array(expected)).pvalue > 0.01


def test_arithmetic_lies_on_the_line_between_the_parents():
    perturbation, children = vectors(Arithmetic())
    np.testing.assert_array_equal(children, np.asarray(perturbation)[:, None].repeat(16, 1))
    assert scipy.stats.kstest(children[:, 0], scipy.stats.uniform.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("params", "num_layers"),
    [
        ({"w": jnp.zeros(3)}, 1),
        ([jnp.zeros(3), jnp.zeros(2)], 2),  # arrays under no node are layers of their own
        ([(jnp.zeros((2, 2)), jnp.zeros(2)), (), (jnp.zeros((2, 2)), jnp.zeros(2))], 2),
        ({"block": {"a": {"w": jnp.zeros(2)}, "b": jnp.zeros(()), "c": {"w": jnp.zeros(2)}}}, 3),
        (jnp.zeros(4), 1),
    ],
)
def test_any_tree_can_be_crossed(params, num_layers):
    key = jax.random.key(0)
    second = jax.tree.map(jnp.ones_like, params)
    for crossover in ALL:
        perturbation = crossover.sample(key, 1, params, evoae.trees.hyperparameters(crossover))
        child = crossover.apply(params, second, perturbation)
        assert jax.tree.map(jnp.shape, child) == jax.tree.map(jnp.shape, params)
        if isinstance(crossover, ByLayer):
            assert perturbation.shape == (num_layers,)


@every_crossover
def test_equal_parents_have_their_equal_for_a_child(crossover, key):
    parent = jax.tree.map(lambda leaf: jax.random.normal(key, leaf.shape), FIRST)
    _, children = children_of(crossover, key, parent, parent)
    vector = np.asarray(evoae.trees.ravel(parent))
    np.testing.assert_array_equal(children, np.broadcast_to(vector, children.shape))


@every_crossover
def test_weights_keep_their_type(crossover, key):
    first, second = (
        jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), p) for p in (FIRST, SECOND)
    )
    perturbation = crossover.sample(key, 1, first, evoae.trees.hyperparameters(crossover))
    child = crossover.apply(first, second, perturbation)
    assert {leaf.dtype for leaf in jax.tree.leaves(child)} == {jnp.dtype(jnp.bfloat16)}


@functools.partial(jax.jit, static_argnums=0)
def generation_of(strategy, key, elites):
    """A generation of a genetic algorithm with these elites; parents and candidates."""
    one = jax.tree.map(lambda leaf: leaf[0], elites)
    state = strategy.init(key, one)._replace(parents=elites)
    population, _ = strategy.ask(key, state)
    return population, population.dense(strategy)["weights"]


def tagged(num_elites, size=12):
    """Elites that are known by their weights: i everywhere in elite i."""
    return {"weights": jnp.repeat(jnp.arange(float(num_elites))[:, None], size, 1)}


@every_crossover
def test_children_are_crossed_at_the_rate_and_from_their_two_parents(crossover, key):
    strategy = GeneticAlgorithm(
        600, num_elites=4, mutation=Gaussian(1e-4), crossover=crossover, crossover_rate=0.6
    )
    population, candidates = generation_of(strategy, key, tagged(4))
    parent = np.asarray(population.parent_ids)
    np.testing.assert_array_equal(parent[:4], np.arange(4)[:, None].repeat(2, 1))
    pairs = parent[4:]
    # A crossed child's second parent is the first one again in a quarter of the cases.
    different = (pairs[:, 0] != pairs[:, 1]).sum()
    assert scipy.stats.binomtest(int(different), len(pairs), 0.6 * 0.75).pvalue > 0.01
    assert np.all(np.bincount(pairs[pairs[:, 0] != pairs[:, 1], 1], minlength=4) > 40)
    weights = np.asarray(candidates[4:])
    low, high = pairs.min(1)[:, None], pairs.max(1)[:, None]
    assert np.all((weights > low - 1e-3) & (weights < high + 1e-3))
    if not isinstance(crossover, Arithmetic):  # nothing but weights of a parent, and from both
        distance = np.abs(weights[:, None] - pairs[:, :, None]).min(1)
        assert distance.max() < 1e-3
    if isinstance(crossover, Uniform | OnePoint):
        taken = np.round(weights) == pairs[:, 1:]
        assert 0.1 < taken[pairs[:, 0] != pairs[:, 1]].mean() < 0.9


def test_a_crossover_rate_of_zero_leaves_children_of_one_parent(key):
    strategy = GeneticAlgorithm(
        50, num_elites=4, mutation=Gaussian(1e-4), crossover=Uniform(), crossover_rate=0.0
    )
    population, candidates = generation_of(strategy, key, tagged(4))
    np.testing.assert_array_equal(population.parent_ids[:, 0], population.parent_ids[:, 1])
    parents = np.asarray(population.parent_ids[:, :1], np.float32)
    np.testing.assert_allclose(candidates, parents.repeat(12, 1), atol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Uniform(0.0),
            "Uniform: rate must be a finite number above 0 and below 1, got 0.0",
        ),
        (
            lambda: ByLayer(1.0),
            "ByLayer: rate must be a finite number above 0 and below 1, got 1.0",
        ),
        (lambda: Uniform("half"), "Uniform: rate must be .* got 'half'"),
        (
            lambda: GeneticAlgorithm(8, crossover=Uniform()),
            "GeneticAlgorithm: num_elites must be at least 2 with a crossover, got 1",
        ),
        (
            lambda: GeneticAlgorithm(8, 2, crossover=Uniform),
            "GeneticAlgorithm: crossover must be None or one of evoae.crossovers .* got <class",
        ),
        (
            lambda: GeneticAlgorithm(8, 2, crossover=Uniform(), crossover_rate=1.5),
            "GeneticAlgorithm: crossover_rate must be a finite number from 0 to 1, got 1.5",
        ),
    ],
)
def test_errors_say_what_came_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()
