"""A child differs from its parent exactly where its mutation says, by what it says."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

import evoae
from evoae.mutations import Binomial, Gaussian, HeavyTailed, LowRank, Sparse, Zeroing

# Few weights, so that positions are often drawn twice.
NETWORK = {"a": {"bias": jnp.zeros(2), "kernel": jnp.ones((2, 3))}, "b": jnp.full((2, 3), -2.0)}
SIZE = 14


@functools.partial(jax.jit, static_argnums=0)
def asked(strategy, key, state):
    population, _ = strategy.ask(key, state)
    return population, population.dense(strategy)


def candidates_of(strategy, key, params, hyper=None):
    """A population, and its candidates as whole networks; other floats are the same program."""
    return asked(strategy, key, strategy.init(key, params, hyper))


def ask(mutation, population_size=12, seed=0, params=NETWORK, hyper=None):
    """The perturbation of one generation, and its candidates as vectors [P, D]."""
    strategy = evoae.strategies.GeneticAlgorithm(population_size, mutation=mutation)
    population, dense = candidates_of(strategy, jax.random.key(seed), params, hyper)
    leaves = [np.asarray(leaf).reshape(population_size, -1) for leaf in jax.tree.leaves(dense)]
    return population.perturbation, np.concatenate(leaves, 1)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    mutation=st.sampled_from(
        [
            Sparse(1, 0.5),
            Sparse(9, 0.5, "normal"),
            Sparse(1, 0.5, "normal", replace=True),
            Sparse(9, 0.5, replace=True),
            Sparse(9, 0.5, shared_positions=True),
            Sparse(9, 0.5, replace=True, shared_positions=True),
        ]
    ),
    seed=st.integers(0, 1000),
)
def test_a_child_differs_in_exactly_the_named_places(mutation, seed):
    perturbation, children = ask(mutation, seed=seed)
    parent = np.asarray(ravel_pytree(NETWORK)[0])
    positions, values = np.asarray(perturbation.positions), np.asarray(perturbation.values)
    assert positions.shape == values.shape == (12, mutation.num_weights)
    assert positions.min() >= 0
    assert positions.max() < SIZE
    np.testing.assert_array_equal(children[0], parent)  # the elite
    for child, places, draws in zip(children[1:], positions[1:], values[1:], strict=True):
        untouched = np.setdiff1d(np.arange(SIZE), places)
        np.testing.assert_array_equal(child[untouched], parent[untouched])
        expected = parent.copy()
        for place, draw in zip(places, draws, strict=True):  # one after the other
            expected[place] = draw if mutation.replace else expected[place] + draw
        np.testing.assert_allclose(child, expected, atol=1e-6)
        assert np.all(child[places] != parent[places])


@pytest.mark.parametrize("replace", [False, True])
def test_repeated_positions_add_up_or_the_last_holds(replace):
    mutation = Sparse(num_weights=4, replace=replace)
    perturbation = mutation.sample(
        jax.random.key(0), jnp.int32(1), NETWORK, {"scale": jnp.float32(1)}
    )
    perturbation = perturbation._replace(
        positions=jnp.int32([3, 5, 3, 3]), values=jnp.float32([0.5, 4.0, 0.25, 2.0])
    )
    child = np.asarray(ravel_pytree(mutation.apply(NETWORK, perturbation))[0])
    expected = np.asarray(ravel_pytree(NETWORK)[0]).copy()
    expected[[3, 5]] = [2.0, 4.0] if replace else expected[[3, 5]] + [2.75, 4.0]
    np.testing.assert_array_equal(child, expected)


def test_positions_are_shared_or_drawn_by_each():
    shared, _ = ask(Sparse(num_weights=5, shared_positions=True))
    assert len(np.unique(np.asarray(shared.positions), axis=0)) == 1
    assert len(np.unique(shared.values)) == 12 * 5  # values are each child's own
    own, _ = ask(Sparse(num_weights=5))
    assert len(np.unique(np.asarray(own.positions), axis=0)) == 12


def test_shared_positions_change_from_generation_to_generation():
    drawn = [ask(Sparse(3, shared_positions=True), seed=seed)[0].positions[0] for seed in range(8)]
    assert len(np.unique(np.asarray(drawn), axis=0)) == 8


@pytest.mark.parametrize(
    ("distribution", "scale", "expected"),
    [
        ("uniform", 1.0, scipy.stats.uniform(-1, 2)),
        ("uniform", 0.3, scipy.stats.uniform(-0.3, 0.6)),
        ("normal", 0.3, scipy.stats.norm(0, 0.3)),
    ],
)
def test_values_and_positions_have_the_named_distribution(distribution, scale, expected):
    perturbation, _ = ask(Sparse(4, scale, distribution), population_size=1000)
    values, positions = np.asarray(perturbation.values), np.asarray(perturbation.positions)
    assert scipy.stats.kstest(values.ravel(), expected.cdf).pvalue > 0.01
    counts = np.bincount(positions.ravel(), minlength=SIZE)
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    # The draws of one child are independent of each other, and values of positions.
    assert abs(np.corrcoef(values[:, 0], values[:, 1])[0, 1]) < 0.1
    assert abs(np.corrcoef(values[:, 0], positions[:, 0])[0, 1]) < 0.1


def test_gaussian_noise_is_normal_and_differs_between_leaves_and_children():
    params = {"a": jnp.zeros((20, 20)), "b": jnp.zeros((20, 20))}
    _, children = ask(Gaussian(0.3), population_size=6, params=params)
    np.testing.assert_array_equal(children[0], 0)
    noise = children[1:]
    assert scipy.stats.kstest(noise.ravel(), scipy.stats.norm(0, 0.3).cdf).pvalue > 0.01
    assert len(np.unique(noise)) > 0.99 * noise.size
    for rows in (noise, np.concatenate([noise[:, :400], noise[:, 400:]])):
        correlation = np.corrcoef(rows) - np.eye(len(rows))
        assert np.abs(correlation).max() < 0.2


def test_gaussian_adds_its_noise_to_the_parent():
    ones = jax.tree.map(jnp.ones_like, NETWORK)
    zeros = jax.tree.map(jnp.zeros_like, NETWORK)
    _, around_ones = ask(Gaussian(0.3), params=ones)
    _, around_zeros = ask(Gaussian(0.3), params=zeros)
    np.testing.assert_allclose(around_ones, 1 + around_zeros, rtol=1e-6)


def test_gaussian_noise_has_a_scale_for_each_layer():
    params = {"a": {"bias": jnp.zeros(40), "kernel": jnp.zeros((8, 10))}, "b": jnp.zeros(400)}
    mutation = Gaussian(0.5, layer_scales=(1.0, 0.01))
    perturbation, children = ask(mutation, population_size=30, params=params)
    assert jax.tree.map(jnp.shape, perturbation) == ((30,), (30, 2))
    noise = children[1:]
    for part, scale in ((noise[:, :40], 0.5), (noise[:, 40:120], 0.5), (noise[:, 120:], 0.005)):
        assert scipy.stats.kstest(part.ravel(), scipy.stats.norm(0, scale).cdf).pvalue > 0.01
    _, plain = ask(Gaussian(0.5), population_size=30, params=params)
    np.testing.assert_array_equal(children[:, :120], plain[:, :120])  # the same draws


def test_low_rank_noise_is_a_product_of_thin_factors():
    params = {
        "kernel": jnp.zeros((12, 20)),
        "images": jnp.zeros((16, 3, 3, 3)),
        "small": jnp.zeros((3, 2)),  # factors would be larger
        "bias": jnp.zeros(50),
    }
    strategy = evoae.strategies.GeneticAlgorithm(60, mutation=LowRank(0.3, rank=2))
    population, dense = candidates_of(strategy, jax.random.key(0), params)
    assert jax.tree.map(jnp.shape, population.perturbation) == ((60,), (60,))
    for name, leaf in dense.items():
        noise = np.asarray(leaf[1:])
        assert abs(noise.std() - 0.3) < 0.03
        assert abs(noise.mean()) < 0.03
        if name in ("kernel", "images"):
            ranks = np.linalg.matrix_rank(noise.reshape(59, noise.shape[1], -1), rtol=1e-4)
            np.testing.assert_array_equal(ranks, 2)
        else:
            normal = scipy.stats.norm(0, 0.3)
            assert scipy.stats.kstest(noise.ravel(), normal.cdf).pvalue > 0.01
    flat = np.concatenate([np.asarray(leaf[1:]).reshape(59, -1) for leaf in dense.values()], 1)
    assert np.abs(np.corrcoef(flat) - np.eye(59)).max() < 0.4  # children differ


@pytest.mark.parametrize("rate", [1.0, 3.5, 8.0])
def test_binomial_draws_as_many_weights_as_its_rate_says(rate):
    perturbation, children = ask(
        Binomial(1.0, 0.5, max_weights=8), 2000, hyper={"mutation": {"rate": rate}}
    )
    positions, values = np.asarray(perturbation.positions[1:]), np.asarray(perturbation.values[1:])
    used = values != 0
    counts = np.bincount(used.sum(1), minlength=9)
    expected = 1999 * scipy.stats.binom(7, (rate - 1) / 7).pmf(np.arange(8))
    np.testing.assert_allclose(used.sum(1).mean(), rate, rtol=0.03)
    assert counts[0] == 0  # no child is its parent
    likely = expected > 5
    np.testing.assert_allclose(counts[1:][likely], expected[likely], atol=4 * np.sqrt(1999) / 2)
    assert np.abs(children[1:] - children[0]).max(1).min() > 0
    draws = scipy.stats.kstest(values[used], scipy.stats.uniform(-0.5, 1).cdf)
    assert draws.pvalue > 0.01
    places = np.bincount(positions[used], minlength=SIZE)
    assert scipy.stats.chisquare(places).pvalue > 0.01


def test_heavy_tails_of_number_and_step():
    perturbation, _ = ask(HeavyTailed(0.2, exponent=1.7, max_weights=30), population_size=4000)
    positions, values = np.asarray(perturbation.positions[1:]), np.asarray(perturbation.values[1:])
    used = values != 0
    number = used.sum(1)
    np.testing.assert_array_equal(used, np.arange(30) < number[:, None])
    chances = np.arange(1.0, 31) ** -1.7
    expected = 3999 * chances / chances.sum()
    counts = np.bincount(number, minlength=31)[1:]
    assert scipy.stats.chisquare(counts, expected).pvalue > 0.01
    assert scipy.stats.kstest(values[used], scipy.stats.cauchy(0, 0.2).cdf).pvalue > 0.01
    assert scipy.stats.chisquare(np.bincount(positions[used], minlength=SIZE)).pvalue > 0.01


@pytest.mark.parametrize(
    ("mutation", "known"),
    [
        *((Sparse(1), True), (Sparse(2), False)),
        *((HeavyTailed(max_weights=1), True), (HeavyTailed(max_weights=2), False)),
        (LowRank(1.0), False),
    ],
    ids=str,
)
def test_changes_of_single_weights_are_known_as_such(mutation, known):
    strategy = evoae.strategies.GeneticAlgorithm(12, mutation=mutation)
    population, _ = candidates_of(strategy, jax.random.key(0), NETWORK)
    changes = strategy.single_changes(population)
    assert (changes is not None) == known
    if known:
        np.testing.assert_array_equal(changes, [leaf[1:, 0] for leaf in population.perturbation])


def test_zeroing_sets_the_named_weights_to_zero_and_no_others():
    params = jax.tree.map(lambda leaf: leaf + 3.0, NETWORK)
    perturbation, children = ask(Zeroing(2.5, max_weights=6), population_size=1500, params=params)
    positions = np.asarray(perturbation[1:])
    used = positions < SIZE
    assert positions.max() == SIZE  # which names no weight
    np.testing.assert_allclose(used.sum(1).mean(), 2.5, rtol=0.05)
    assert used[:, 0].all()
    for child, places in zip(children[1:], positions, strict=True):
        expected = np.asarray(ravel_pytree(params)[0]).copy()
        expected[places[places < SIZE]] = 0
        np.testing.assert_array_equal(child, expected)
    assert scipy.stats.chisquare(np.bincount(positions[used], minlength=SIZE)).pvalue > 0.01


def test_a_number_of_scales_that_is_not_that_of_the_layers_is_an_error():
    with pytest.raises(ValueError, match=r"scale must be one .* 2 layers, got shape \(3,\)"):
        ask(Gaussian(0.1, layer_scales=(1.0, 2.0, 3.0)))


@pytest.mark.parametrize(
    "mutation",
    [
        *(Sparse(3), Sparse(3, distribution="normal"), Sparse(3, replace=True), Gaussian(1.0)),
        *(Binomial(2.0, max_weights=4), HeavyTailed(1.0, max_weights=4), LowRank(1.0)),
    ],
    ids=str,
)
def test_another_scale_changes_nothing_else(mutation):
    zeros = jax.tree.map(jnp.zeros_like, NETWORK)
    _, whole = ask(mutation, params=zeros)
    _, quarter = ask(mutation, params=zeros, hyper={"mutation": {"scale": 0.25}})
    np.testing.assert_array_equal(quarter, whole / 4)  # a power of two: exact


def test_draws_do_not_depend_on_the_number_of_candidates():
    several = (Sparse(3, shared_positions=True), Binomial(2.0, max_weights=4), Gaussian(0.3))
    for mutation in (Sparse(3), *several):
        _, few = ask(mutation, population_size=5)
        _, many = ask(mutation, population_size=12)
        np.testing.assert_array_equal(few, many[:5])


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize(
    "mutation",
    [Sparse(3), Sparse(3, replace=True), Gaussian(0.3), LowRank(0.3), Zeroing(max_weights=3)],
    ids=str,
)
def test_weights_keep_their_type(mutation, dtype):
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), NETWORK)
    strategy = evoae.strategies.GeneticAlgorithm(6, mutation=mutation)
    state = strategy.init(jax.random.key(0), params)
    _, dense = asked.eval_shape(strategy, jax.random.key(0), state)
    assert {leaf.dtype for leaf in jax.tree.leaves(dense)} == {jnp.dtype(dtype)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sparse(0), "Sparse: num_weights must be a whole number from 1, got 0"),
        (lambda: Sparse(1.5), "Sparse: num_weights must be a whole number from 1, got 1.5"),
        (lambda: Sparse(scale=0.0), "Sparse: scale must be a finite number above 0, got 0.0"),
        (lambda: Sparse(scale=float("inf")), "Sparse: scale must be a finite .* got inf"),
        (lambda: Sparse(distribution="cauchy"), "Sparse: distribution must be .* got 'cauchy'"),
        (lambda: Gaussian(-1.0), "Gaussian: scale must be a finite number above 0, got -1.0"),
        (lambda: Gaussian(float("nan")), "Gaussian: scale must be a finite .* got nan"),
        (lambda: Gaussian(layer_scales=0.1), "layer_scales must be None or a tuple .* got 0.1"),
        (lambda: Gaussian(layer_scales=(1, 0)), r"layer_scales\[1\] must be .* above 0, got 0"),
        (lambda: LowRank(rank=0), "LowRank: rank must be a whole number from 1, got 0"),
        (lambda: Binomial(0.5), "Binomial: rate must be from 1 to max_weights=256, got 0.5"),
        (lambda: Binomial(9, max_weights=8), "rate must be from 1 to max_weights=8, got 9"),
        (lambda: Zeroing(True), "Zeroing: rate must be a finite number, got True"),
        (lambda: Zeroing(max_weights=0), "Zeroing: max_weights must be a whole number .* got 0"),
        (
            lambda: HeavyTailed(exponent=1),
            "HeavyTailed: exponent must be a finite number above 1, got 1",
        ),
        (lambda: Gaussian("0.1"), "Gaussian: scale must be a finite .* got '0.1'"),
    ],
)
def test_errors_say_what_came_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()
