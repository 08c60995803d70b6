"""Rates follow from success as the papers say, stay in their range, and find what is good."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.mutations import Binomial, Gaussian, HeavyTailed, Mutation, Sparse
from evoae.strategies import GESMR, SAMR, GeneticAlgorithm, OneFifth

GAUSSIAN = Gaussian(0.1)
RULES = [OneFifth(), SAMR(), GESMR(per_layer=True)]
every_rule = pytest.mark.parametrize("rule", RULES, ids=str)
NETWORK = {"a": {"bias": jnp.zeros(2), "kernel": jnp.ones((3, 2))}, "b": {"kernel": jnp.ones(12)}}


def algorithm(rule, mutation=GAUSSIAN, num_elites=3, population_size=35):
    return GeneticAlgorithm(population_size, num_elites, mutation=mutation, adaptation=rule)


@functools.partial(jax.jit, static_argnums=0)
def ask(strategy, key, state):
    return strategy.ask(key, state)[0]


@functools.partial(jax.jit, static_argnums=0)
def tell(strategy, key, population, errors, state):
    return strategy.tell(key, population, errors, state)[0]


def told(strategy, state, errors, seed=0):
    """The population of one generation, and the state after its errors."""
    population = ask(strategy, jax.random.key(seed), state)
    return population, tell(
        strategy, jax.random.key(seed), population, jnp.asarray(errors, jnp.float32), state
    )


def start(strategy, hyper=None, network=NETWORK):
    return strategy.init(jax.random.key(0), network, hyper)


@pytest.mark.parametrize("better", [0, 3, 8, 32])
def test_one_fifth_follows_the_share_of_better_children(better):
    strategy = algorithm(OneFifth(target=0.25, speed=0.5))
    state = start(strategy)
    errors = np.full(35, 2.0)
    errors[35 - better :] = 1.0
    errors[:3] = 2.0  # equal children are not better
    population, after = told(strategy, state, errors)
    np.testing.assert_allclose(population.perturbation.rate, 0.1)
    np.testing.assert_array_equal(
        population.perturbation.mutation.scale, population.perturbation.rate
    )
    expected = 0.1 * np.exp(0.5 * (better / 32 - 0.25) / 0.75)
    np.testing.assert_allclose(after.rates, [expected], rtol=1e-5)


def test_one_fifth_compares_with_the_parent_of_each_child_on_the_same_data():
    strategy = algorithm(OneFifth(), num_elites=2)
    state = start(strategy)
    population = ask(strategy, jax.random.key(0), state)
    errors = np.full(35, 5.0)
    errors[:2] = [1.0, 9.0]  # better than the second elite, worse than the first
    after = tell(strategy, jax.random.key(0), population, jnp.asarray(errors, jnp.float32), state)
    share = np.asarray(population.parent_ids[2:, 0] == 1).mean()
    assert 0.2 < share < 0.8
    np.testing.assert_allclose(after.rates, 0.1 * np.exp((share - 0.2) / 0.8), rtol=1e-5)


def test_samr_hands_rates_down_with_a_lognormal_change():
    strategy = algorithm(SAMR(speed=0.3), population_size=2000)
    state = start(strategy)._replace(rates=jnp.float32([0.1, 1.0, 10.0]))
    errors = np.arange(2000.0)[::-1]
    population, after = told(strategy, state, errors)
    rates, parent = (
        np.asarray(population.perturbation.rate),
        np.asarray(population.parent_ids[:, 0]),
    )
    np.testing.assert_array_equal(rates[:3], state.rates)  # copies keep theirs
    changes = np.log(rates[3:] / np.asarray(state.rates)[parent[3:]])
    assert abs(changes.mean()) < 0.03
    assert abs(changes.std() - 0.3) < 0.03
    np.testing.assert_array_equal(after.rates, rates[[1999, 1998, 1997]])  # of the survivors
    np.testing.assert_array_equal(population.perturbation.mutation.scale, rates)


def test_gesmr_keeps_the_rate_of_the_group_with_the_best_child():
    strategy = algorithm(GESMR(num_groups=4, spread=3.0))
    before = np.float32([0.1, 0.2, 0.4, 0.8])
    state = start(strategy)._replace(rates=jnp.asarray(before))
    errors = np.full(35, 20.0)
    errors[:3] = 10.0
    errors[[6, 11, 12]] = [5.0, 7.0, 30.0]  # groups 2 and 3; the rest of group 3 is no worse
    for seed in range(5):
        population, after = told(strategy, state, errors, seed)
        rates = np.asarray(population.perturbation.rate)
        np.testing.assert_array_equal(rates, before[np.arange(35) % 4])
        assert after.rates[0] == before[2]
        others = np.asarray(after.rates[1:])  # from groups 2 and 3, up to a factor of 3
        assert np.all((others >= 0.4 / 3) & (others <= 0.8 * 3))
        assert len(np.unique(after.rates)) == 4


def test_gesmr_draws_its_changes_log_uniformly_from_the_better_half():
    rule = GESMR(num_groups=1000, spread=3.0)
    improvement = jnp.concatenate([jnp.zeros(8), jnp.arange(1992.0)])
    before = jnp.where(jnp.arange(1000) < 508, 1.0, 100.0)  # groups 8..507 are the better half
    after = rule.update(
        jax.random.key(0), before[:1000], improvement, jnp.arange(8), before, {"spread": 3.0}
    )
    powers = np.log(np.asarray(after[1:])) / np.log(3)
    assert np.abs(powers).max() <= 1
    assert abs(powers.mean()) < 0.05
    assert abs(powers.std() - 1 / np.sqrt(3)) < 0.03


@every_rule
def test_invalid_children_are_no_success(rule):
    strategy = algorithm(rule)
    errors = np.full(35, np.nan)
    errors[:3] = [1.0, 2.0, 3.0]
    _, after = told(strategy, start(strategy), errors)
    assert np.isfinite(after.rates).all()
    if isinstance(rule, OneFifth):
        np.testing.assert_allclose(after.rates, 0.1 * np.exp(-0.25), rtol=1e-5)
    if isinstance(rule, SAMR):
        np.testing.assert_allclose(after.rates, 0.1, rtol=1e-6)


@every_rule
@pytest.mark.parametrize(
    ("mutation", "low", "high"),
    [(Binomial(2.0, max_weights=8), 1, 8), (GAUSSIAN, 1e-6, 1e3)],
    ids=str,
)
def test_rates_stay_in_the_range_of_the_mutation(rule, mutation, low, high):
    strategy = algorithm(rule, mutation)
    state = start(strategy)
    assert np.all(np.asarray(state.rates) == np.float32(getattr(mutation, mutation.adapted)))
    for extreme in (1e-30, 1e30):
        pushed = state._replace(rates=state.rates * extreme)
        population, after = told(strategy, pushed, np.arange(35.0))
        for rates in (population.perturbation.rate, after.rates):
            assert np.float32(low) <= rates.min() <= rates.max() <= np.float32(high)
    layers = (2,) if getattr(rule, "per_layer", False) else ()
    assert population.perturbation.rate.shape == (35, *layers)


def test_a_rate_for_each_layer_reaches_its_layer():
    for mutation in (GAUSSIAN, Sparse(4), HeavyTailed(max_weights=4)):
        strategy = algorithm(SAMR(per_layer=True), mutation, 1, 400)
        state = start(strategy)._replace(rates=jnp.float32([[1e-3, 1e2]]))
        population = ask(strategy, jax.random.key(0), state)
        dense = jax.jit(population.dense, static_argnums=0)(strategy)
        small = np.abs(np.asarray(dense["a"]["kernel"][1:] - 1))
        large = np.abs(np.asarray(dense["b"]["kernel"][1:] - 1))
        assert 0 < np.median(small[small > 0]) < 0.02
        assert np.median(large[large > 0]) > 10


def test_a_rate_for_each_layer_divides_the_draws():
    strategy = algorithm(SAMR(per_layer=True, speed=1e-6), Binomial(max_weights=40), 1, 2000)
    state = start(strategy)._replace(rates=jnp.float32([[2.0, 6.0]]))
    positions, values = (
        np.asarray(leaf[1:])
        for leaf in ask(strategy, jax.random.key(0), state).perturbation.mutation
    )
    used = values != 0
    expected = np.array([2.0 * 8 / 20, 6.0 * 12 / 20])  # draws in each layer, of 8 and 12 weights
    found = [(used & (positions < 8)).sum(1).mean(), (used & (positions >= 8)).sum(1).mean()]
    np.testing.assert_allclose(found, expected, rtol=0.05)
    counts = np.bincount(positions[used], minlength=20)
    assert counts[:8].std() < 0.15 * counts[:8].mean()
    assert counts[8:].std() < 0.15 * counts[8:].mean()


@every_rule
def test_a_whole_first_population_and_a_crossover_are_starts_like_any_other(rule):
    strategy = GeneticAlgorithm(
        12, 3, mutation=Gaussian(0.1), crossover=evoae.crossovers.Uniform(), adaptation=rule
    )
    network = {"kernel": jnp.ones(8)}
    networks = jax.tree.map(lambda leaf: jnp.stack([leaf] * 12), network)
    state = strategy.init(jax.random.key(0), evoae.Stacked(networks))
    _, state = told(strategy, state, np.arange(12.0))
    one = start(strategy, network=network)
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, one)
    np.testing.assert_allclose(state.rates, 0.1)
    population, after = told(strategy, state, np.arange(12.0)[::-1])
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert population.perturbation.crossover is not None


def sphere(params, batch):
    """The mean square of all weights."""
    leaves = [jnp.square(leaf).sum() for leaf in jax.tree.leaves(params)]
    return jnp.stack(leaves).sum() / evoae.trees.size(params)


@functools.cache
def best_of(strategy, scale):
    """The error after 200 generations."""
    layers = {"a": {"kernel": jnp.ones(8)}, "b": {"kernel": jnp.ones(12)}}
    state = start(strategy, {"mutation": {"scale": scale}}, layers)
    key = jax.random.key(1)
    state, _ = evoae.evolve(key, strategy, sphere, None, state, num_generations=200)
    return float(state.best_fitness)


@pytest.mark.parametrize(
    ("rule", "largest"),
    # Of the children of far too large a step none survives, and so none hands a smaller one down.
    [(OneFifth(), 10.0), (SAMR(), 0.5), (GESMR(per_layer=True), 10.0)],
    ids=str,
)
def test_a_start_far_off_ends_where_a_good_one_does(rule, largest):
    strategy = algorithm(rule, num_elites=1, population_size=40)
    ends = [best_of(strategy, scale) for scale in (1e-3, 0.1, largest)]
    fixed = best_of(algorithm(None, num_elites=1, population_size=40), 0.1)
    assert max(ends) < 0.1 * fixed  # a step that shrinks finds the optimum


def test_a_float_of_the_rule_is_a_leaf_of_the_state():
    strategy = algorithm(OneFifth())
    state = start(strategy, {"adaptation": {"speed": 3.0}})
    _, after = told(strategy, state, np.full(35, 1.0))
    np.testing.assert_allclose(after.rates, 0.1 * np.exp(-0.75), rtol=1e-5)


def test_changes_of_single_weights_are_still_known_as_such():
    strategy = algorithm(OneFifth(), Sparse(1), num_elites=1)
    population = ask(strategy, jax.random.key(0), start(strategy))
    positions, deltas = strategy.single_changes(population)
    np.testing.assert_array_equal(positions, population.perturbation.mutation.positions[1:, 0])
    np.testing.assert_array_equal(deltas, population.perturbation.mutation.values[1:, 0])


class Custom(Mutation):
    """A mutation that names nothing to adapt."""

    def sample(self, key, index, params, hyper):
        return ()

    def apply(self, params, perturbation):
        return params


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: OneFifth(1.0),
            "OneFifth: target must be a finite number above 0 and below 1, got 1.0",
        ),
        (lambda: OneFifth(speed=0), "OneFifth: speed must be a finite number above 0, got 0"),
        (lambda: SAMR(float("nan")), "SAMR: speed must be a finite number above 0, got nan"),
        (lambda: GESMR(1), "GESMR: num_groups must be a whole number from 2, got 1"),
        (lambda: GESMR(spread=1.0), "GESMR: spread must be a finite number above 1, got 1.0"),
        (lambda: algorithm(GESMR), "GeneticAlgorithm: adaptation must be None or .* got <class"),
        (
            lambda: algorithm(SAMR(), Custom()),
            "GeneticAlgorithm: mutation must name its `adapted` float",
        ),
        (
            lambda: algorithm(GESMR(33)),
            "adaptation.num_groups must be at most 32, the number of children, got 33",
        ),
    ],
)
def test_errors_say_what_came_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()
