"""Every algorithm of evosax runs in evolve, honestly; and a strategy of ours in a plain loop."""

import functools
import inspect
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import evoae
from evoae.engine.generations import generation
from evoae.mutations import Gaussian
from evoae.strategies import GeneticAlgorithm
from evoae.strategies.evosax_adapter import Evosax

algorithms = pytest.importorskip("evosax.algorithms")

NUM_GENERATIONS = 60
ALL, FORBIDDEN = jnp.float32(0), jnp.float32(1)
TARGET = np.array([[0.5, -1.0], [0.0, 2.0]], np.float32)
SV = "SV_Open_ES"
QUICK = ("CMA_ES", "SimpleGA")  # of each kind one that is not left out by -m "not slow"
# Its learning rate is the population's size over the number of weights, and must be below 2.
SIZES = {"LM_MA_ES": 8}
# Their populations come no nearer, only their best: one draws at random, the spread of one still
# grows where the others end, and one gathers around the origin.
BEST_ALONE = ("RandomSearch", "iAMaLGaM_Univariate", "DiffusionEvolution")


def error(params, batch):
    """The squared distance to the target; with FORBIDDEN invalid where the best networks are."""
    value = jnp.square(params["kernel"] - TARGET).sum() + jnp.square(params["bias"] - 1.0).sum()
    forbidden = batch > 0
    value = jnp.where(forbidden & (params["bias"][0] > 0.8), jnp.nan, value)
    return jnp.where(forbidden & (params["bias"][1] > 0.9), -jnp.inf, value)


def anywhere(key):
    """For random search: weights from U(-3, 3)."""
    for_kernel, for_bias = jax.random.split(key)
    return {
        "bias": jax.random.uniform(for_bias, (2,), minval=-3.0, maxval=3.0),
        "kernel": jax.random.uniform(for_kernel, (2, 2), minval=-3.0, maxval=3.0),
    }


many_anywhere = jax.jit(jax.vmap(anywhere))


SUITABLE = {  # for this problem, where an algorithm takes them
    "optimizer": optax.adam(0.1),
    "num_populations": 2,
    "sampling_fn": anywhere,
    "num_groups": 4,
    "std_schedule": optax.constant_schedule(0.3),
    "num_generations": NUM_GENERATIONS + 1,
}


def described(name):
    taken = inspect.signature(algorithms.algorithms[name]).parameters
    arguments = {key: value for key, value in SUITABLE.items() if key in taken}
    size = 25 if "num_groups" in taken else SIZES.get(name, 24)
    return Evosax(name, size, arguments=arguments)


@functools.partial(jax.jit, static_argnums=0)
def init(strategy, key, params, hyper=None):
    return strategy.init(key, params, hyper)


def start(strategy, hyper=None, seed=0):
    params = {"bias": jnp.zeros(2), "kernel": jnp.ones((2, 2))}
    if (count := strategy.num_networks) > 1:
        keys = jax.random.split(jax.random.key(7), count)
        params = evoae.Stacked(many_anywhere(keys))
    return init(strategy, jax.random.key(seed), params, hyper)


def run(strategy, state, num_generations=NUM_GENERATIONS, seed=1, batch=ALL, **settings):
    return evoae.evolve(
        jax.random.key(seed),
        strategy,
        error,
        batch,
        state,
        num_generations=num_generations,
        block_size=NUM_GENERATIONS,
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


@pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated:DeprecationWarning")  # PGPE
@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in algorithms.algorithms
    ],
)
def test_every_algorithm_runs_in_evolve(name, compilations):
    strategy = described(name)
    first = start(strategy)
    compilations.clear()
    state, trace = run(strategy, first)
    assert sum("(block)" in name for name in compilations) == 1

    # It improves; its best is never lost, and is what it is said to be.
    assert state.best_fitness < 0.4 * trace.best_fitness[0]
    assert state.best_fitness == trace.best_fitness.min()
    np.testing.assert_allclose(error(state.best, ALL), state.best_fitness, rtol=1e-5, atol=1e-9)
    if name not in BEST_ALONE:
        assert trace.mean_fitness[-5:].mean() < 0.3 * trace.mean_fitness[:5].mean()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.best))

    # Stopped and resumed, it is the same; another key or another float compiles nothing.
    compilations.clear()
    half, before = run(described(name), first, 25)
    resumed, after = run(described(name), half, 35)
    same(state, resumed)
    same(trace, jax.tree.map(lambda *rows: np.concatenate(rows), before, after))
    _, other = run(strategy, first, seed=2)
    assert np.any(other.best_fitness != trace.best_fitness)
    if "std_init" in first.hyper:
        run(strategy, start(strategy, {"std_init": 0.5}))

    # Invalid errors are never the best, and spoil nothing.
    state, trace = run(strategy, first, batch=FORBIDDEN)
    assert trace.num_invalid.sum() > 0
    assert np.isfinite(trace.best_fitness).all()
    assert np.isfinite(error(state.best, FORBIDDEN))
    assert state.best_fitness == trace.best_fitness.min() < 3.0
    assert not any("(block)" in name for name in compilations)


def plain_loop(name, num_generations):
    """The best errors by generation from evosax alone, with the keys that `evolve` uses."""
    strategy = described(name)
    arguments = dict(strategy.arguments)
    populations = arguments.get("num_populations", 1)
    solution = {"bias": jnp.zeros(2), "kernel": jnp.ones((2, 2))}
    errors = jax.jit(jax.vmap(error, (0, None)))
    bests = []
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        algorithm = algorithms.algorithms[name](24 // populations, solution=solution, **arguments)
        parameters = algorithm.default_params
        networks = many_anywhere(jax.random.split(jax.random.key(7), max(2, strategy.num_networks)))
        evaluated_first = name in algorithms.population_based_algorithms
        if not evaluated_first:
            begin = networks if populations > 1 else solution
            state = algorithm.init(jax.random.key(0), begin, parameters)
        for generation in range(num_generations):
            key = jax.random.fold_in(jax.random.key(1), generation)
            _, for_ask, for_tell = jax.random.split(key, 3)
            if evaluated_first and generation == 0:
                fitness = errors(networks, ALL)
                state = algorithm.init(for_tell, networks, fitness, parameters)
            else:
                candidates, state = algorithm.ask(for_ask, state, parameters)
                fitness = errors(candidates, ALL)
                if populations > 1:
                    split = lambda leaf: leaf.reshape(populations, -1, *leaf.shape[1:])  # noqa: E731
                    candidates = jax.tree.map(split, candidates)
                state, _ = algorithm.tell(for_tell, candidates, fitness, state, parameters)
            bests.append(float(fitness.min()))
    return bests


@pytest.mark.parametrize(
    "name",
    [
        "CMA_ES",
        "SimpleGA",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("PSO", SV, "PGPE", *BEST_ALONE)),
    ],
)
@pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated:DeprecationWarning")  # PGPE
def test_a_run_is_what_evosax_does_by_itself(name):
    strategy = described(name)
    _, trace = run(strategy, start(strategy), 20)
    np.testing.assert_allclose(trace.best_fitness, plain_loop(name, 20), rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["Sep_CMA_ES", "SimpleGA"])
def test_any_chunk_size_gives_the_same(name):
    strategy = Evosax(name, 45)  # three chunks
    whole, parts = (run(strategy, start(strategy), chunk_size=size) for size in (None, 5))
    same(whole, parts)


@pytest.mark.parametrize("name", ["SNES", "SimpleGA"])
def test_vmapped_runs_equal_a_loop(name):
    strategy = described(name)
    keys = jnp.stack([jax.random.key(seed) for seed in range(3)])
    first = start(strategy)

    def one(key):
        step = lambda state, _: generation(key, strategy, error, ALL, state)[:2]  # noqa: E731
        return jax.lax.scan(step, first, length=15)

    _, traces = jax.jit(jax.vmap(one))(keys)
    for i in range(3):
        _, trace = run(strategy, first, 15, seed=i)
        np.testing.assert_allclose(traces.best_fitness[i], trace.best_fitness, rtol=1e-3, atol=1e-5)


def test_the_first_population_is_evaluated_as_it_is():
    strategy = Evosax("GESMR_GA", 9)
    networks = many_anywhere(jax.random.split(jax.random.key(7), 9))
    state = start(strategy)
    population, candidates, state = ask(strategy, jax.random.key(1), state)
    same(candidates, networks)
    errors = jax.vmap(error, (0, None))(networks, ALL)
    state, info = tell(strategy, jax.random.key(2), population, errors, state)
    same(state.best, jax.tree.map(lambda leaf: leaf[jnp.argmin(errors)], networks))
    assert info.best_fitness == state.best_fitness == errors.min()
    np.testing.assert_array_equal(state.search.fitness, errors)
    _, candidates, _ = ask(strategy, jax.random.key(3), state)  # its elite comes first, as it is
    same(jax.tree.map(lambda leaf: leaf[0], candidates), state.best)


def test_with_changing_data_the_best_is_that_of_the_last_generation():
    strategy = Evosax("SNES", 8, elitist=False)
    state, trace = run(strategy, start(strategy), 10)
    assert state.best_fitness == trace.best_fitness[-1]
    assert error(state.best, ALL) == pytest.approx(float(state.best_fitness), rel=1e-5)


def test_equal_descriptions_are_equal_and_their_numbers_reach_evosax():
    strategy = Evosax("SNES", 8, parameters={"std_init": 0.25, "lr_std_init": 0.1})
    again = Evosax("SNES", 8, parameters=[["lr_std_init", 0.1], ["std_init", 0.25]])
    assert strategy == again
    assert hash(strategy) == hash(again)
    assert strategy.num_networks == 1
    state = start(strategy)
    assert float(state.hyper["std_init"]) == 0.25
    np.testing.assert_array_equal(state.search.std, 0.25)
    np.testing.assert_array_equal(start(again, {"std_init": 0.75}).search.std, 0.75)
    assert described("PSO").num_networks == 24
    assert described(SV).num_networks == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Evosax("Adam"), "Evosax: algorithm must be one of ARS, .* xNES; got 'Adam'"),
        (lambda: Evosax("SNES", 1), "Evosax: population_size must be .* from 2, got 1"),
        (lambda: Evosax("SNES", parameters={"std_init": "x"}), r"\['std_init'\] must .* got 'x'"),
        (lambda: Evosax("SNES", arguments=3), "arguments must map names to hashable .*, got 3"),
        (lambda: Evosax("SNES", arguments={"optimizer": []}), "arguments must .* hashable"),
        (lambda: Evosax(SV, 9, {"num_populations": 2}), "multiple of num_populations = 2, got 9"),
        (lambda: start(Evosax(SV, 8)), "SV_Open_ES cannot be made .*num_populations"),
        (lambda: start(Evosax("PGPE", 7)), "PGPE .* population_size=7 .*must be even"),
        (lambda: start(Evosax("SNES", 8, {"size": 2})), "SNES cannot .*{'size': 2}.*unexpected"),
        (lambda: start(Evosax("SNES", 8), {"sigma": 1.0}), "no 'sigma'; SNES has lr_std_init, .*"),
        (lambda: start(Evosax("SNES", 8, parameters={"rate": 1})), "hyper has no 'rate'; SNES"),
    ],
)
def test_errors_name_what_came_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_errors_of_the_networks_to_begin_with(key):
    one, many = anywhere(key), evoae.Stacked(many_anywhere(jax.random.split(key, 8)))
    with pytest.raises(ValueError, match=r"evoae\.Stacked of 8 networks for PSO, got one network"):
        Evosax("PSO", 8).init(key, one)
    with pytest.raises(ValueError, match=r"one network for CMA_ES, got evoae\.Stacked"):
        Evosax("CMA_ES", 8).init(key, many)
    with pytest.raises(ValueError, match=r"must stack population_size=9 networks, got .*8"):
        Evosax("PSO", 9).init(key, many)


def test_without_evosax_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "evosax.algorithms", None)
    with pytest.raises(ValueError, match=r"pip install 'evoae\[evosax\]'"):
        Evosax()
    from evoae.cli import main

    assert main(["train", "paper-ten", "--strategy.kind", "Evosax"]) == 2
    said = "evoae: error: Evosax needs the package evosax: pip install 'evoae[evosax]'\n"
    assert capsys.readouterr().err == said


def test_a_strategy_of_ours_in_a_loop_like_that_of_evosax(key):
    """The loop of evosax's own examples, with nothing of `evolve`."""
    strategy = GeneticAlgorithm(population_size=32, mutation=Gaussian(0.2))
    state = strategy.init(key, {"bias": jnp.zeros(2), "kernel": jnp.ones((2, 2))})
    bests = []
    for _ in range(60):
        key, for_ask, for_tell = jax.random.split(key, 3)
        population, candidates, state = ask(strategy, for_ask, state)
        fitness = jax.vmap(error, (0, None))(candidates, ALL)
        state, _ = tell(strategy, for_tell, population, fitness, state)
        bests.append(float(state.best_fitness))
    assert bests == sorted(bests, reverse=True)
    assert bests[-1] < 0.2
    np.testing.assert_allclose(error(state.best, ALL), bests[-1], rtol=1e-5)
