"""evolve: compiled once, the same in any blocks, honest about batches and invalid errors."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm
from tests.random_weights import random_images, random_weights


def square(params, batch):
    return jnp.square(params["weights"]).mean()


def start(strategy, hyper=None, size=5):
    return strategy.init(jax.random.key(0), {"weights": jnp.ones(size)}, hyper)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@dataclasses.dataclass(frozen=True)
class Distance:
    """An error with a setting, equal to another one by value."""

    to: float

    def __call__(self, params, batch):
        return jnp.square(params["weights"] - self.to).mean()


def test_generations_compile_once_and_another_float_or_length_compiles_nothing(key, compilations):
    make = lambda: GeneticAlgorithm(6, mutation=Gaussian(0.1))  # noqa: E731
    states = [start(make()), start(make(), {"mutation": {"scale": 0.7}})]
    other = Distance(2.0)
    evoae.evolve(key, make(), other, None, states[0], num_generations=1)  # what all calls share
    compilations.clear()
    state, trace = evoae.evolve(key, make(), Distance(3.0), None, states[0], num_generations=300)
    assert len(compilations) == 1
    compilations.clear()
    for begin, count in ((states[0], 1), (states[1], 300), (state, 1200)):
        _, another = evoae.evolve(key, make(), Distance(3.0), None, begin, num_generations=count)
        assert another.best_fitness.shape == (count,)
        assert not compilations
    _, wide = evoae.evolve(key, make(), Distance(3.0), None, states[1], num_generations=300)
    assert wide.best_fitness[1] != trace.best_fitness[1]  # the float had its effect


def test_an_equal_model_built_anew_compiles_nothing(key, compilations):
    images = random_images(4, 6, 6, 1)

    def parts():
        model = evoae.models.mlp(2, hidden=(), image_shape=(6, 6, 1))
        fitness = evoae.fitness.Reconstruction(model, error="mae")
        return model, fitness, GeneticAlgorithm(4, mutation=Sparse(2))

    model, fitness, strategy = parts()
    state = strategy.init(key, random_weights(model, images))
    evoae.evolve(key, strategy, fitness, images, state, num_generations=3)
    compilations.clear()
    model, fitness, strategy = parts()
    evoae.evolve(key, strategy, fitness, images, state, num_generations=5)
    assert not compilations


@pytest.fixture
def population():
    """A strategy that begins with a whole population, whose first generation is by itself."""
    strategy = GeneticAlgorithm(8, num_elites=3, mutation=Sparse(2))
    weights = np.float32(np.random.default_rng(0).normal(size=(8, 5)))
    networks = evoae.Stacked({"weights": jnp.asarray(weights)})
    return strategy, strategy.init(jax.random.key(0), networks)


def test_two_runs_of_500_are_one_of_1000(key, population):
    strategy, state = population
    whole, trace = evoae.evolve(key, strategy, square, None, state, num_generations=1000)
    half, first = evoae.evolve(key, strategy, square, None, state, num_generations=500)
    ended, second = evoae.evolve(key, strategy, square, None, half, num_generations=500)
    same(whole, ended)
    same(trace, jax.tree.map(lambda *rows: np.concatenate(rows), first, second))
    assert int(whole.generation) == 1000


def test_any_block_size_gives_the_same(key, population):
    strategy, state = population
    expected = evoae.evolve(key, strategy, square, None, state, num_generations=40)
    for block_size in (1, 7):
        blocks = evoae.evolve(
            key, strategy, square, None, state, num_generations=40, block_size=block_size
        )
        same(expected, blocks)


def test_any_chunk_size_gives_the_same(key):
    strategy = GeneticAlgorithm(67, mutation=Gaussian(0.1))
    results = [
        evoae.evolve(
            key, strategy, square, None, start(strategy), num_generations=20, chunk_size=chunk_size
        )
        for chunk_size in (None, 5)
    ]
    same(*results)


def subset(params, batch):
    """The rows of a batch of powers of two, as the bits of one number: the same for all weights."""
    return batch.sum() + 0 * params["weights"].sum()


def test_all_candidates_of_a_generation_see_the_same_rows(key):
    rows = jnp.float32(2.0 ** np.arange(20))
    strategy = GeneticAlgorithm(6, mutation=Gaussian(0.1))
    state, trace = evoae.evolve(
        key, strategy, subset, rows, start(strategy), num_generations=40, batch_size=3
    )
    np.testing.assert_array_equal(trace.best_fitness, trace.mean_fitness)
    drawn = trace.best_fitness.astype(int)
    assert {int(number).bit_count() for number in drawn} == {3}  # three different rows
    assert len(set(drawn.tolist())) > 35  # of 1,140 sets of three: others in each generation
    # The elite is scored again on the rows of each generation: its error is that of the last one.
    assert float(state.best_fitness) == drawn[-1]
    assert np.any(np.diff(drawn) > 0)


def test_the_rows_do_not_depend_on_where_a_run_is_cut(key):
    rows = jnp.float32(2.0 ** np.arange(20))
    strategy = GeneticAlgorithm(6, mutation=Gaussian(0.1))
    run = lambda state, count: evoae.evolve(  # noqa: E731
        key, strategy, subset, rows, state, num_generations=count, batch_size=3
    )
    _, whole = run(start(strategy), 20)
    state, first = run(start(strategy), 8)
    _, second = run(state, 12)
    drawn = np.concatenate([first.best_fitness, second.best_fitness])
    np.testing.assert_array_equal(whole.best_fitness, drawn)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.float64(2), np.array(2), jnp.int32(2)])
def test_a_fitness_may_return_any_number(key, value):
    strategy = GeneticAlgorithm(4, mutation=Gaussian(0.1))
    population, _ = strategy.ask(key, start(strategy))
    errors = evoae.evaluate(strategy, lambda params, batch: value, population, None)
    assert errors.dtype == jnp.float32
    assert errors.tolist() == [2.0] * 4


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda error: None, "NoneType"),
        (lambda error: {"loss": error}, "dict"),
        (lambda error: (error, {"aux": 1}), "tuple"),
        (lambda error: "2", "str"),
        (lambda error: error[None], r"shape \(1,\)"),
        (lambda error: np.zeros(2), r"shape \(2,\)"),
    ],
)
def test_a_fitness_that_returns_no_number_is_named(key, make, got):
    strategy = GeneticAlgorithm(4, mutation=Gaussian(0.1))
    population, _ = strategy.ask(key, start(strategy))
    fitness = lambda params, batch: make(square(params, batch))  # noqa: E731
    with pytest.raises(ValueError, match=f"^fitness must return a scalar, got {got}"):
        evoae.evaluate(strategy, fitness, population, None)


def forbids_growth(params, batch):
    """NaN for weights that are larger than at the start."""
    largest = params["weights"].max()
    return jnp.where(largest > 1, jnp.nan, jnp.square(params["weights"]).mean())


def test_invalid_candidates_never_become_elite(key):
    strategy = GeneticAlgorithm(8, num_elites=2, mutation=Sparse(1))
    state, trace = evoae.evolve(
        key, strategy, forbids_growth, None, start(strategy), num_generations=100
    )
    assert float(state.parents["weights"].max()) <= 1
    assert np.isfinite(trace.best_fitness).all()
    assert np.isfinite(trace.mean_fitness).all()
    assert 0 < trace.num_invalid[0] < 8
    assert state.best_fitness < 0.1


def spoiled(params, batch):
    """An error that the batch makes invalid for all weights."""
    return square(params, None) + batch


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf, -jnp.inf])
def test_no_finite_error_at_all_stops_the_run(key, value):
    strategy, batch = GeneticAlgorithm(4, mutation=Sparse(1)), jnp.float32(value)
    with pytest.raises(evoae.InvalidFitnessError, match=r"generation 0 .* finite error") as caught:
        evoae.evolve(
            key, strategy, spoiled, batch, start(strategy), num_generations=9, block_size=3
        )
    assert caught.value.trace.best_fitness.shape == (3,)  # nothing runs after that block
    np.testing.assert_array_equal(caught.value.trace.num_invalid, 4)
    np.testing.assert_array_equal(caught.value.state.best["weights"], 1.0)


def test_the_invalid_generation_is_named_and_the_parents_are_kept(key):
    strategy = GeneticAlgorithm(4, mutation=Sparse(1))
    run = functools.partial(evoae.evolve, key, strategy, spoiled, block_size=3)
    state, _ = run(jnp.float32(0), start(strategy), num_generations=6)
    with pytest.raises(evoae.InvalidFitnessError) as caught:
        run(jnp.float32(jnp.nan), state, num_generations=2)
    same(caught.value.state.best, state.best)


def test_evolve_vmapped_generations_equal_a_loop(key):
    from evoae.engine.generations import generation

    strategy = GeneticAlgorithm(6, mutation=Gaussian(0.1))
    keys, fitness = [jax.random.key(seed) for seed in range(3)], Distance(2.0)

    def run(key):
        step = lambda state, _: generation(key, strategy, fitness, None, state)[:2]  # noqa: E731
        return jax.lax.scan(step, start(strategy), length=15)

    together, _ = jax.jit(jax.vmap(run))(jnp.stack(keys))
    for i in range(3):
        alone, _ = evoae.evolve(
            keys[i], strategy, fitness, None, start(strategy), num_generations=15
        )
        np.testing.assert_allclose(together.fitness[i], alone.fitness, rtol=1e-6)
        np.testing.assert_allclose(
            together.parents["weights"][i], alone.parents["weights"], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_generations": 0}, "num_generations must be a whole number from 1, got 0"),
        ({"num_generations": 2.0}, "num_generations must be a whole number from 1, got 2.0"),
        (
            {"num_generations": 1, "block_size": -1},
            "block_size must be a whole number from 1, got -1",
        ),
        ({"num_generations": 1, "chunk_size": 0}, "chunk_size must be None or a whole .* got 0"),
        ({"num_generations": 1, "batch_size": 21}, "batch_size must be from 1 to 20 .*got 21"),
        ({"num_generations": 1, "batch_size": 0}, "batch_size must be from 1 to 20 .*got 0"),
    ],
)
def test_errors_name_what_came_and_what_is_allowed(key, settings, message):
    strategy = GeneticAlgorithm(4)
    with pytest.raises(ValueError, match=message):
        evoae.evolve(key, strategy, subset, jnp.ones(20), start(strategy), **settings)


def test_a_fitness_that_is_no_scalar_is_an_error(key):
    strategy = GeneticAlgorithm(4)
    with pytest.raises(ValueError, match=r"fitness must return a scalar, got shape \(5,\)"):
        evoae.evolve(
            key,
            strategy,
            lambda params, batch: params["weights"],
            None,
            start(strategy),
            num_generations=1,
        )
