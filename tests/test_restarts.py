"""Restarts: when, from what, and what is kept."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import evoae
from evoae.evolve import generation
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm
from evoae.strategies.islands import Islands
from evoae.strategies.restarts import Restarts

INNER = GeneticAlgorithm(8, num_elites=2, mutation=Gaussian(0.1))
STRATEGY = Restarts(INNER, num_starts=3, patience=4, tolerance=0.1)
NETWORKS = evoae.Stacked({"weights": jnp.array([[1.0, 1.0], [4.0, 4.0], [-2.0, 3.0]])})
VALID = jax.tree.map(jnp.abs, NETWORKS)  # whose errors are numbers also where some are forbidden
ANY, FORBIDDEN = jnp.float32(0), jnp.float32(1)


def network(i):
    return jax.tree.map(lambda leaf: leaf[i], NETWORKS.params)


def floor(params, forbidden):
    """The mean square, but never below 1e-3, so that a search stalls; NaN where forbidden."""
    value = jnp.maximum(jnp.square(params["weights"]).mean(), 1e-3)
    return jnp.where((forbidden > 0) & (params["weights"][0] < 0.5), jnp.nan, value)


def run(strategy, state, num_generations=80, seed=1, batch=ANY, **settings):
    return evoae.evolve(
        jax.random.key(seed),
        strategy,
        floor,
        batch,
        state,
        num_generations=num_generations,
        **settings,
    )


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@functools.partial(jax.jit, static_argnums=0)
def told(strategy, state, errors):
    """One generation in which all candidates have the same error."""
    population, state = strategy.ask(jax.random.key(3), state)
    fitness = jnp.full(strategy.population_size, errors, jnp.float32)
    state, _ = strategy.tell(jax.random.key(4), population, fitness, state)
    return state


def test_it_restarts_after_as_many_generations_without_enough_improvement(key):
    state = STRATEGY.init(key, NETWORKS)
    # An improvement by less than a tenth of the last one that counted does not count.
    for errors, stalled in ((10.0, 0), (9.5, 1), (9.1, 2), (8.9, 0), (8.9, 1), (8.5, 2), (8.1, 3)):
        state = told(STRATEGY, state, errors)
        assert int(state.stalled) == stalled
        assert int(state.num_restarts) == 0
    assert float(state.reference) == pytest.approx(8.9)
    state = told(STRATEGY, state, 8.05)  # more than a tenth below nothing that counted
    assert (int(state.num_restarts), int(state.stalled)) == (1, 0)
    assert np.isinf(state.reference)
    assert np.isinf(state.search.best_fitness)
    np.testing.assert_array_equal(state.search.parents["weights"], [[4.0, 4.0]] * 2)
    assert int(state.search.generation) == 0
    assert int(state.generation) == 8
    # The best of the first start is kept, and a worse second one does not touch it.
    assert float(state.best_fitness) == np.float32(8.05)
    kept = state.best
    state = told(STRATEGY, state, 20.0)
    same(state.best, kept)
    assert float(state.best_fitness) == np.float32(8.05)
    assert float(state.reference) == 20.0
    state = told(STRATEGY, state, 1.0)
    assert float(state.best_fitness) == 1.0
    same(state.best, state.search.best)


def test_errors_below_zero_improve_as_well(key):
    state = STRATEGY.init(key, NETWORKS)
    for errors, stalled in ((-10.0, 0), (-10.5, 1), (-11.1, 0), (-12.0, 1)):
        state = told(STRATEGY, state, errors)
        assert int(state.stalled) == stalled


def test_the_networks_are_taken_in_turn_and_unchanged(key):
    strategy = dataclasses.replace(STRATEGY, patience=1)
    state = strategy.init(key, NETWORKS)
    begun = [0]
    for _ in range(8):
        before = int(state.num_restarts)
        state = told(strategy, state, 5.0)
        if int(state.num_restarts) > before:
            begun.append(int(state.num_restarts) % 3)
            same(state.search.best, network(begun[-1]))
        same(state.starts, NETWORKS.params)
    assert begun == [0, 1, 2, 0, 1]  # each needs a first generation, and one that is no better


def test_until_the_first_restart_it_is_the_strategy_itself(key):
    strategy = dataclasses.replace(STRATEGY, patience=10**6)
    state = strategy.init(key, NETWORKS)
    alone = INNER.init(key, network(0))
    same(state.search, alone)
    for step in range(3):
        for_ask, for_tell = jax.random.split(jax.random.fold_in(key, step))
        population, state = strategy.ask(for_ask, state)
        candidates = population.dense(strategy)
        same(candidates, INNER.ask(for_ask, alone)[0].dense(INNER))
        fitness = jnp.square(candidates["weights"]).mean(1)
        state, _ = strategy.tell(for_tell, population, fitness, state)
        alone, _ = INNER.tell(jax.random.split(for_tell)[0], population, fitness, alone)
        same(state.search, alone)


def test_it_restarts_within_a_run_and_the_best_is_never_lost(key):
    state, trace = run(STRATEGY, STRATEGY.init(key, NETWORKS))
    assert int(state.num_restarts) >= 2
    assert np.any(np.diff(trace.best_fitness) > 0)  # the new starts are worse at first
    assert state.best_fitness == trace.best_fitness.min() == np.float32(1e-3)
    np.testing.assert_allclose(floor(state.best, ANY), state.best_fitness, rtol=1e-6)


@pytest.mark.parametrize("settings", [{"chunk_size": 5}, {"block_size": 7}])
def test_chunks_and_blocks_change_nothing(key, settings):
    strategy = dataclasses.replace(STRATEGY, strategy=GeneticAlgorithm(45, mutation=Gaussian(0.1)))
    state = strategy.init(key, NETWORKS)
    same(run(strategy, state), run(strategy, state, **settings))


def test_a_run_cut_in_two_is_the_same(key):
    state = STRATEGY.init(key, NETWORKS)
    whole, trace = run(STRATEGY, state)
    for cut in (3, 41):
        half, first = run(STRATEGY, state, cut)
        ended, second = run(STRATEGY, half, 80 - cut)
        same(whole, ended)
        same(trace, jax.tree.map(lambda *rows: np.concatenate(rows), first, second))


def test_another_key_or_float_compiles_nothing_and_reaches_every_start(key, monkeypatch):
    traced = []
    express = GeneticAlgorithm.express
    monkeypatch.setattr(GeneticAlgorithm, "express", lambda *a: traced.append(1) or express(*a))
    strategy = dataclasses.replace(STRATEGY, patience=3)
    few, _ = run(strategy, strategy.init(key, NETWORKS))
    assert traced
    traced.clear()
    hyper = {"tolerance": 0.9, "strategy": {"mutation": {"scale": 0.01}}}
    again = Restarts(dataclasses.replace(INNER), 3, 3, 0.1)
    many, _ = run(again, again.init(key, NETWORKS, hyper), seed=2)
    assert not traced
    assert many.num_restarts > few.num_restarts
    np.testing.assert_array_equal(many.search.hyper["mutation"]["scale"], np.float32(0.01))


def test_vmapped_runs_equal_a_loop(key):
    state = STRATEGY.init(key, NETWORKS)
    keys = jax.random.split(key, 3)

    def one(key):
        step = lambda state, _: generation(key, STRATEGY, floor, ANY, state)[:2]  # noqa: E731
        return lax.scan(step, state, length=40)

    ended, together = jax.jit(jax.vmap(one))(keys)
    for i in range(3):
        alone, trace = evoae.evolve(keys[i], STRATEGY, floor, ANY, state, num_generations=40)
        np.testing.assert_allclose(together.best_fitness[i], trace.best_fitness, rtol=1e-5)
        assert ended.num_restarts[i] == alone.num_restarts > 0


def test_invalid_errors_never_become_the_best(key):
    state, trace = run(STRATEGY, STRATEGY.init(key, VALID), batch=FORBIDDEN)
    assert trace.num_invalid.sum() > 0
    assert np.isfinite(trace.best_fitness).all()
    assert state.best["weights"][0] >= 0.5
    assert int(state.num_restarts) > 0


def test_islands_that_begin_anew_together(key):
    strategy = Restarts(Islands(INNER, 2, num_migrants=0), num_starts=3, patience=4)
    assert strategy.num_networks == 6
    begin = evoae.Stacked({"weights": jax.random.normal(key, (6, 2))})
    state, trace = run(strategy, strategy.init(key, begin))
    assert int(state.num_restarts) > 0
    assert state.best_fitness == trace.best_fitness.min()
    state = strategy.init(key, begin)
    for _ in range(5):
        state = told(strategy, state, 7.0)
    starts = state.search.islands.parents["weights"][:, 0]
    np.testing.assert_array_equal(starts, begin.params["weights"][2:4])


def test_an_algorithm_of_evosax_begins_anew(key):
    pytest.importorskip("evosax")
    from evoae.strategies.evosax import Evosax

    strategy = Restarts(Evosax("SimpleGA", 8), num_starts=2, patience=4)
    assert strategy.num_networks == 16
    begin = evoae.Stacked({"weights": jax.random.normal(key, (16, 2))})
    state, trace = run(strategy, strategy.init(key, begin), 60)
    assert int(state.num_restarts) > 0
    assert state.best_fitness == trace.best_fitness.min()
    for _ in range(60):
        if int(state.search.generation) == 0:
            break
        state = told(strategy, state, 9.0)
    population, _ = strategy.ask(key, state)  # evaluates the networks that it begins with
    index = int(state.num_restarts) % 2
    same(population.genotype["weights"], begin.params["weights"].reshape(2, 8, 2)[index])


def test_changes_of_single_weights_are_handed_on(key):
    strategy = Restarts(GeneticAlgorithm(8, mutation=Sparse(1)), num_starts=3)
    population, _ = strategy.ask(key, strategy.init(key, NETWORKS))
    positions, deltas = strategy.single_changes(population)
    assert positions.shape == deltas.shape == (7,)
    population, _ = STRATEGY.ask(key, STRATEGY.init(key, NETWORKS))
    assert STRATEGY.single_changes(population) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Restarts("GA"), "Restarts: strategy must be one of .* got 'GA'"),
        (lambda: Restarts(INNER, 1), "Restarts: num_starts must be .* from 2, got 1"),
        (lambda: Restarts(INNER, patience=0), "Restarts: patience must be .* from 1, got 0"),
        (lambda: Restarts(INNER, tolerance=1), "Restarts: tolerance must .* below 1, got 1"),
        (lambda: Restarts(INNER, tolerance="x"), "Restarts: tolerance must .* got 'x'"),
        (
            lambda: STRATEGY.init(jax.random.key(0), network(0)),
            "must be evoae.Stacked of 3 networks for Restarts, got one network",
        ),
        (
            lambda: STRATEGY.init(jax.random.key(0), evoae.Stacked({"weights": jnp.ones((4, 2))})),
            r"must stack a multiple of 3 networks .* got shapes \[\(4, 2\)\]",
        ),
        (
            lambda: STRATEGY.init(jax.random.key(0), evoae.Stacked({"weights": jnp.ones((24, 2))})),
            "must stack 3 networks for Restarts of GeneticAlgorithm, got more",
        ),
        (
            lambda: STRATEGY.init(jax.random.key(0), NETWORKS, {"rate": 1.0}),
            "hyper has no 'rate'; it has tolerance",
        ),
    ],
)
def test_errors_name_what_came_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()
