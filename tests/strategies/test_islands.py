"""Islands: each as if alone, the ring, the best, and all that holds of any strategy."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import evoae
from evoae.engine.generations import block, generation
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm, ProbeEvolutionStrategy
from evoae.strategies.islands import Islands

NUM_ISLANDS, SIZE, NUM_ELITES, NUM_MIGRANTS = 3, 8, 3, 2


@dataclasses.dataclass(frozen=True)
class Elitist(GeneticAlgorithm):
    """A genetic algorithm that takes in migrants: the best of elites and migrants become elites."""

    def immigrate(self, state, params, fitness):
        errors = jnp.concatenate([state.fitness, fitness])
        _, kept = lax.top_k(-errors, self.num_elites)
        parents = jax.tree.map(lambda a, b: jnp.concatenate([a, b])[kept], state.parents, params)
        return state._replace(parents=parents, fitness=errors[kept])


INNER = Elitist(SIZE, num_elites=NUM_ELITES, mutation=Gaussian(0.1))
RING = Islands(INNER, NUM_ISLANDS, migration_interval=2, num_migrants=NUM_MIGRANTS)
ALONE = dataclasses.replace(RING, num_migrants=0)


def square(params, limit):
    """The mean square; NaN where the first weight is below the limit."""
    value = jnp.square(params["weights"]).mean() + jnp.square(params["bias"])
    return jnp.where(params["bias"] < limit, jnp.nan, value)


NO_LIMIT = jnp.float32(-jnp.inf)
ONE = {"bias": jnp.float32(1), "weights": jnp.ones(3)}


def networks(count, seed=5):
    drawn = jnp.float32(np.random.default_rng(seed).normal(size=(count, 4)))
    return evoae.Stacked({"bias": drawn[:, 0], "weights": drawn[:, 1:]})


def run(strategy, state, num_generations=40, seed=1, limit=NO_LIMIT, **settings):
    return evoae.evolve(
        jax.random.key(seed),
        strategy,
        square,
        limit,
        state,
        num_generations=num_generations,
        **settings,
    )


@functools.partial(jax.jit, static_argnums=0)
def ask(strategy, key, state):
    population, state = strategy.ask(key, state)
    return population, population.dense(strategy), state


@functools.partial(jax.jit, static_argnums=0)
def tell(strategy, key, population, fitness, state):
    return strategy.tell(key, population, fitness, state)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def take(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def test_without_migrants_every_island_is_the_strategy_alone(key):
    state = ALONE.init(key, networks(NUM_ISLANDS))
    single = [INNER.init(key, take(networks(NUM_ISLANDS).params, i)) for i in range(NUM_ISLANDS)]
    for step in range(3):
        for_ask, for_tell = jax.random.split(jax.random.fold_in(key, step))
        population, candidates, state = ask(ALONE, for_ask, state)
        fitness = jax.vmap(square, (0, None))(candidates, NO_LIMIT)
        state, info = tell(ALONE, for_tell, population, fitness, state)
        for i in range(NUM_ISLANDS):
            own, its, single[i] = ask(INNER, jax.random.fold_in(for_ask, i), single[i])
            same(its, take(candidates, slice(i, None, NUM_ISLANDS)))
            errors = fitness[i::NUM_ISLANDS]
            single[i], _ = tell(INNER, jax.random.fold_in(for_tell, i), own, errors, single[i])
            same(single[i], take(state.islands, i))
        errors = [float(one.best_fitness) for one in single]
        assert state.best_fitness == info.best_fitness == min(errors)
        same(state.best, single[int(np.argmin(errors))].best)
        np.testing.assert_allclose(info.mean_fitness, fitness.mean(), rtol=1e-6)
    assert int(state.generation) == 3


def test_copies_of_all_parents_come_first_and_parents_are_found_by_number(key):
    state = RING.init(key, networks(NUM_ISLANDS))
    population, candidates, _ = ask(RING, key, state)
    count = NUM_ISLANDS * NUM_ELITES
    assert population.size == RING.population_size == NUM_ISLANDS * SIZE
    same(take(candidates, slice(count)), population.parents)
    np.testing.assert_array_equal(population.parent_ids[:count, 0], np.arange(count))
    islands = np.arange(NUM_ISLANDS * SIZE) % NUM_ISLANDS
    np.testing.assert_array_equal(population.parent_ids % NUM_ISLANDS, islands[:, None] * [[1, 1]])


def test_the_best_of_an_island_go_to_the_next_one_in_the_ring(key):
    state = RING.init(key, networks(NUM_ISLANDS))
    scores = np.random.default_rng(0)
    for step in range(1, 5):
        population, candidates, state = ask(RING, jax.random.fold_in(key, step), state)
        fitness = np.float32(scores.permutation(NUM_ISLANDS * SIZE))
        state, _ = tell(RING, key, population, jnp.asarray(fitness), state)
        errors = fitness.reshape(SIZE, NUM_ISLANDS).T
        weights = np.asarray(candidates["weights"]).reshape(SIZE, NUM_ISLANDS, 3).swapaxes(0, 1)
        for i in range(NUM_ISLANDS):
            pool = [*zip(errors[i], weights[i], strict=True)]
            if step % 2 == 0:
                before = (i - 1) % NUM_ISLANDS
                ranked = np.argsort(errors[before])[:NUM_MIGRANTS]
                pool += [(errors[before, j], weights[before, j]) for j in ranked]
            pool = sorted(pool, key=lambda pair: pair[0])[:NUM_ELITES]
            np.testing.assert_array_equal(state.islands.fitness[i], [error for error, _ in pool])
            expected = [network for _, network in pool]
            np.testing.assert_array_equal(state.islands.parents["weights"][i], expected)


def test_the_best_is_never_lost_and_is_what_it_is_said_to_be(key):
    state, trace = run(RING, RING.init(key, ONE), 100)
    assert np.all(np.diff(trace.best_fitness) <= 0)
    assert trace.best_fitness[-1] < 0.05 * trace.best_fitness[0]
    assert state.best_fitness == trace.best_fitness[-1]
    np.testing.assert_allclose(square(state.best, NO_LIMIT), state.best_fitness, rtol=1e-6)


def test_migration_brings_the_islands_together(key):
    begin = networks(NUM_ISLANDS)
    spread = lambda state: float(state.islands.parents["weights"][:, 0].std(0).max())  # noqa: E731
    apart, together = (spread(run(s, s.init(key, begin), 4)[0]) for s in (ALONE, RING))
    assert together < 0.3 * apart


def test_chunks_and_blocks_change_nothing(key):
    strategy = dataclasses.replace(RING, strategy=dataclasses.replace(INNER, population_size=15))
    state = strategy.init(key, networks(NUM_ISLANDS))
    same(run(strategy, state), run(strategy, state, chunk_size=5, block_size=7))


def test_a_run_cut_between_two_migrations_is_the_same(key):
    state = RING.init(key, ONE)
    whole, trace = run(RING, state)
    half, first = run(RING, state, 13)
    ended, second = run(RING, half, 27)
    same(whole, ended)
    same(trace, jax.tree.map(lambda *rows: np.concatenate(rows), first, second))


def test_another_key_or_float_compiles_nothing(key, monkeypatch):
    traced = []
    express = Elitist.express
    monkeypatch.setattr(Elitist, "express", lambda *a: traced.append(1) or express(*a))
    block.clear_cache()
    _, trace = run(RING, RING.init(key, ONE))
    assert traced
    traced.clear()
    again = Islands(dataclasses.replace(INNER), NUM_ISLANDS, 2, NUM_MIGRANTS)
    _, wide = run(again, again.init(key, ONE, {"mutation": {"scale": 0.7}}), seed=2)
    assert not traced
    assert wide.best_fitness[1] != trace.best_fitness[1]


def test_vmapped_runs_equal_a_loop(key):
    state = RING.init(key, ONE)
    keys = jax.random.split(key, 3)

    def one(key):
        step = lambda state, _: generation(key, RING, square, NO_LIMIT, state)[:2]  # noqa: E731
        return lax.scan(step, state, length=10)

    _, together = jax.jit(jax.vmap(one))(keys)
    for i in range(3):
        _, trace = evoae.evolve(keys[i], RING, square, NO_LIMIT, state, num_generations=10)
        np.testing.assert_allclose(together.best_fitness[i], trace.best_fitness, rtol=1e-5)


def test_invalid_errors_never_become_the_best(key):
    state, trace = run(RING, RING.init(key, ONE), limit=jnp.float32(0.9))
    assert trace.num_invalid.sum() > 0
    assert np.isfinite(trace.best_fitness).all()
    assert state.islands.parents["bias"].min() >= 0.9


def test_an_island_without_a_valid_error_keeps_its_elites_and_takes_in_migrants(key):
    state = RING.init(key, networks(NUM_ISLANDS))
    for step in range(2):
        before = state
        population, _, state = ask(RING, jax.random.fold_in(key, step), state)
        fitness = jnp.arange(NUM_ISLANDS * SIZE, dtype=jnp.float32)
        fitness = fitness.at[1::NUM_ISLANDS].set(jnp.nan)
        state, info = tell(RING, key, population, fitness, state)
        assert int(info.num_invalid) == SIZE
    parents = state.islands.parents["weights"]
    np.testing.assert_array_equal(parents[1, 0], parents[0, 0])  # the best of the island before
    np.testing.assert_array_equal(parents[1, 2], before.islands.parents["weights"][1, 0])
    np.testing.assert_array_equal(state.islands.fitness[1], [0.0, 3.0, jnp.inf])
    assert np.isfinite(state.islands.fitness[2]).all()  # nothing came from it


def test_a_whole_population_for_every_island(key):
    begin = networks(NUM_ISLANDS * SIZE)
    state = RING.init(key, begin)
    assert not RING.has_final_shapes(state)
    _, candidates, _ = ask(RING, key, state)
    grouped = begin.params["weights"].reshape(NUM_ISLANDS, SIZE, 3)
    for i in range(NUM_ISLANDS):
        np.testing.assert_array_equal(candidates["weights"][i::NUM_ISLANDS], grouped[i])
    ended, trace = run(RING, state, 20)
    assert RING.has_final_shapes(ended)
    assert np.all(np.diff(trace.best_fitness) <= 0)
    same(run(RING, run(RING, state, 1)[0], 19)[0], ended)


def test_how_many_networks_it_begins_with(key):
    assert RING.num_networks == NUM_ISLANDS
    nested = Islands(RING, 2, num_migrants=0)
    assert nested.num_networks == 2 * NUM_ISLANDS
    assert nested.population_size == 2 * NUM_ISLANDS * SIZE
    begin = networks(6)
    state = nested.init(key, begin)
    first = state.islands.islands.parents["weights"][:, :, 0]
    np.testing.assert_array_equal(first.reshape(6, 3), begin.params["weights"])
    state, trace = run(nested, state, 20)
    assert np.all(np.diff(trace.best_fitness) <= 0)
    np.testing.assert_allclose(square(state.best, NO_LIMIT), state.best_fitness, rtol=1e-6)
    np.testing.assert_array_equal(state.hyper["mutation"]["scale"], np.float32(0.1))


def test_any_strategy_of_evosax_on_islands(key):
    pytest.importorskip("evosax")
    from evoae.strategies.evosax_adapter import Evosax

    strategy = Islands(Evosax("MR15_GA", 8, parameters={"std_init": 0.1}), 2, num_migrants=0)
    state, trace = run(strategy, strategy.init(key, networks(16)), 30)
    assert state.best_fitness == trace.best_fitness.min() < 0.2 * trace.best_fitness[0]
    np.testing.assert_allclose(square(state.best, NO_LIMIT), state.best_fitness, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Islands("GA"),
            "Islands: strategy must be one of evoae.strategies or another Strategy, got 'GA'",
        ),
        (lambda: Islands(Elitist), "Islands: strategy must be .* got <class"),
        (lambda: Islands(INNER, 1), "Islands: num_islands must be .* from 2, got 1"),
        (lambda: Islands(INNER, migration_interval=0), "migration_interval must .* got 0"),
        (lambda: Islands(INNER, num_migrants=-1), "num_migrants must be .* got -1"),
        (lambda: Islands(INNER, num_migrants=9), "num_migrants must be at most 8, .* got 9"),
        (
            lambda: Islands(ProbeEvolutionStrategy(4)),
            "must be 0 for ProbeEvolutionStrategy, which takes in no migrants; got 1",
        ),
        (
            lambda: RING.init(jax.random.key(0), networks(7)),
            r"params must stack a multiple of 3 networks .*got shapes \[\(7,\), \(7, 3\)\]",
        ),
        (lambda: RING.init(jax.random.key(0), networks(6)), "must stack population_size=8"),
        (lambda: RING.init(jax.random.key(0), ONE, {"rate": 1.0}), "hyper has no 'rate'"),
    ],
)
def test_errors_name_what_came_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_single_weight_mutation_works_too(key):
    strategy = Islands(Elitist(SIZE, mutation=Sparse(1)), 2, migration_interval=3)
    _, trace = run(strategy, strategy.init(key, ONE))
    assert np.all(np.diff(trace.best_fitness) <= 0)
    assert trace.best_fitness[-1] < 0.3 * trace.best_fitness[0]
