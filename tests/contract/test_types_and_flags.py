"""What people hand in and switch on: each entry point takes it, or says in one line why not."""

import functools
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.engine.generations import block
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import (
    GeneticAlgorithm,
    Islands,
    LeastSquares,
    ProbeEvolutionStrategy,
    Stacked,
    SuccessiveHalving,
)
from tests.contract import test_contract as contract

KEY = jax.random.key(0)
PARAMS = {"w": np.ones(3, np.float32)}
ALGORITHM = GeneticAlgorithm(6, mutation=Gaussian(0.1))
STRATEGIES = {
    "algorithm": ALGORITHM,
    "sparse": GeneticAlgorithm(6, num_elites=2, mutation=Sparse(1)),
    "probes": ProbeEvolutionStrategy(6),
    "halving": SuccessiveHalving(ALGORITHM, 2, 2),
    "islands": Islands(ALGORITHM, 2, 2),
}
# How arrays come back from a process, a file or another library.
FORMS = {
    "NumPy": jax.device_get,
    "pickle": lambda tree: pickle.loads(pickle.dumps(jax.device_get(tree))),
}


def error(params, batch):
    return jnp.square(params["w"]).sum()


def begun(strategy, params=PARAMS):
    count = strategy.num_networks
    if count > 1:
        params = Stacked(jax.tree.map(lambda leaf: np.stack([leaf] * count), params))
    return strategy.init(KEY, params)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_states_populations_and_errors_from_elsewhere(name, form):
    strategy, given = STRATEGIES[name], FORMS[form]
    state = begun(strategy)
    population, asked = strategy.ask(KEY, state)
    candidates = population.dense(strategy)
    errors = jnp.square(candidates["w"]).sum(1)
    expected, _ = strategy.tell(KEY, population, errors, asked)

    population, asked = strategy.ask(KEY, given(state))
    dense = given(population).dense(strategy)
    jax.tree.map(np.testing.assert_array_equal, dense, candidates)
    for scores in (errors.tolist(), np.asarray(errors), list(errors), tuple(errors.tolist())):
        found, _ = strategy.tell(KEY, given(population), scores, given(asked))
        jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("scores", [["x"] * 6, [None] * 6, [0.0] * 5, 1.0, [[0.0]] * 6])
def test_errors_that_are_none_are_refused_by_name(scores):
    population, state = ALGORITHM.ask(KEY, begun(ALGORITHM))
    with pytest.raises(ValueError, match="fitness must"):
        ALGORITHM.tell(KEY, population, scores, state)


@pytest.mark.parametrize(
    "key", [jax.random.PRNGKey(3), jax.random.key(3, impl="rbg"), np.array([0, 3], np.uint32)]
)
def test_keys_old_and_new(key):
    state, _ = evoae.evolve(key, ALGORITHM, error, None, begun(ALGORITHM), num_generations=2)
    assert state.generation == 2
    if key.shape == (2,):
        new = jax.random.key(3)
        same, _ = evoae.evolve(new, ALGORITHM, error, None, begun(ALGORITHM), num_generations=2)
        assert same.best_fitness == state.best_fitness


@pytest.mark.parametrize("key", [0, None, 1.5, jax.random.split(KEY), np.zeros(2)])
def test_what_is_no_key_is_refused_by_name(key):
    with pytest.raises(ValueError, match=r"key must be one of jax\.random, got"):
        evoae.evolve(key, ALGORITHM, error, None, begun(ALGORITHM), num_generations=1)
    states = jax.tree.map(lambda leaf: leaf[None], begun(ALGORITHM))
    with pytest.raises(
        ValueError, match=r"keys must be an array of keys \[R\] of jax\.random, got"
    ):
        evoae.evolve_runs(KEY, ALGORITHM, error, None, states, num_generations=1)


@pytest.mark.parametrize(
    "value", [1, 1.0, True, np.float64(1), np.int8(1), np.ones((), np.float16), jnp.bfloat16(1)]
)
def test_a_fitness_of_any_number(value):
    state, _ = evoae.evolve(
        KEY, ALGORITHM, lambda *_: value, None, begun(ALGORITHM), num_generations=1
    )
    assert state.best_fitness == 1


@pytest.mark.parametrize("value", [None, {"loss": 1.0}, (1.0, {}), "1", [1.0], np.ones(1)])
def test_a_fitness_that_is_no_number(value):
    with pytest.raises(ValueError, match="fitness must return a scalar, got"):
        evoae.evolve(KEY, ALGORITHM, lambda *_: value, None, begun(ALGORITHM), num_generations=1)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_weights_of_few_bits(dtype, tmp_path):
    params = {"w": jnp.ones(3, dtype)}
    state = begun(ALGORITHM, params)
    state, _ = evoae.evolve(KEY, ALGORITHM, error, None, state, num_generations=2)
    assert state.best["w"].dtype == dtype
    evoae.runs.weight_files.save_weights(tmp_path / "best.npz", state.best)
    loaded = evoae.runs.load_weights(tmp_path / "best.npz")
    np.testing.assert_array_equal(loaded["w"], np.asarray(state.best["w"], np.float32))


IMAGES = np.random.default_rng(0).uniform(0, 1, (4, 6, 5, 1)).astype(np.float32)


@pytest.mark.parametrize(
    ("batch", "name", "message"),
    [
        (evoae.data.Dataset(IMAGES, None, "mine"), "mse", "batch must be arrays, got a Dataset"),
        ({"images": IMAGES, "name": "mine"}, "mse", "batch must be arrays .* got a str"),
        (np.where(IMAGES > 0.9, np.nan, IMAGES), "mse", "images must be finite, got NaN"),
        (IMAGES * 255, "bce", r"images must be in 0..1 for the error bce, got .*\.\.25"),
        (IMAGES - 0.5, "logit_huber", "images must be in 0..1 for the error logit_huber, got -0.4"),
        (jnp.asarray(IMAGES * 255), "bce", "images must be in 0..1"),
    ],
)
def test_batches_that_no_error_can_judge(batch, name, message):
    model = evoae.models.mlp(2, hidden=(3,), image_shape=(6, 5, 1))
    fitness = evoae.fitness.Reconstruction(model, name)
    params = model.init(KEY, IMAGES)["params"]
    state = ALGORITHM.init(KEY, params)
    with pytest.raises(ValueError, match=message):
        evoae.evolve(KEY, ALGORITHM, fitness, batch, state, num_generations=1)
    keys, states = jax.tree.map(lambda leaf: leaf[None], (KEY, state))
    with pytest.raises(ValueError, match=message):
        evoae.evolve_runs(keys, ALGORITHM, fitness, batch, states, num_generations=1)


def test_pixels_are_checked_by_hand_too():
    model = evoae.models.mlp(2, hidden=(3,), image_shape=(6, 5, 1))
    with pytest.raises(ValueError, match="images must be in 0"):
        evoae.fitness.Reconstruction(model, "bce")(model.init(KEY, IMAGES)["params"], IMAGES * 255)
    with pytest.raises(ValueError, match="low and high must be in 0"):
        evoae.fitness.Reconstruction(model, "bce", high=255.0)


def test_a_batch_with_nan_is_named_where_nothing_is_finite():
    with pytest.raises(evoae.InvalidFitnessError, match="the batch has NaN in it"):
        evoae.evolve(
            *(KEY, ALGORITHM, lambda params, batch: batch.sum(), np.array([np.nan])),
            begun(ALGORITHM),
            num_generations=1,
        )


def test_flags_of_jax(flag):
    strategy = STRATEGIES["sparse"]
    if flag == "jax_debug_infs":
        with pytest.raises(ValueError, match="jax_debug_infs must be off"):
            begun(strategy)
        return
    model = evoae.models.mlp(2, hidden=(3,), image_shape=(6, 5, 1))
    fitness = evoae.fitness.Reconstruction(model, "mae")
    state = begun(strategy, model.init(KEY, IMAGES)["params"])
    _, trace = evoae.evolve(KEY, strategy, fitness, IMAGES, state, num_generations=3)
    assert np.isfinite(trace.best_fitness).all()
    states = jax.tree.map(lambda leaf: leaf[None], state)
    _, same = evoae.evolve_runs([KEY], strategy, fitness, IMAGES, states, num_generations=3)
    np.testing.assert_array_equal(same.best_fitness[0], trace.best_fitness)
    population, _ = strategy.ask(KEY, state)
    errors = evoae.evaluate(strategy, fitness, population, IMAGES)
    assert errors.dtype == np.float32
    assert np.isfinite(errors).all()


PAPER = evoae.fitness.Reconstruction(evoae.models.varadi2021(), "mae")
DIGITS = jax.ShapeDtypeStruct((2, 28, 28, 1), np.float32)
WEIGHTS = jax.eval_shape(PAPER.model.init, KEY, DIGITS)["params"]
# What is followed through all kinds of layers, and all that strategies make by themselves.
TRACED = {
    name: (strategy, PAPER, WEIGHTS, DIGITS)
    for name, strategy in {
        "changes": GeneticAlgorithm(6, mutation=Sparse(1)),
        "shared changes": GeneticAlgorithm(6, mutation=Sparse(1, shared_positions=True)),
        "least squares": LeastSquares(6, 6),
        "central least squares": LeastSquares(6, 6, central=True),
        "least squares of a mutation": LeastSquares(6, 6, probe=Gaussian(0.1)),
    }.items()
} | {
    name: (
        strategy,
        contract.fitness_of(name),
        jax.eval_shape(functools.partial(contract.first_of.__wrapped__, name)),
        np.float32(0),
    )
    for name, strategy in contract.STRATEGIES.items()
}


@pytest.mark.parametrize("name", TRACED)
def test_64_bits_change_no_type(name):
    """Nothing is compiled: types are known once a program is traced."""
    strategy, fitness, like, batch = TRACED[name]
    copies = strategy.num_networks
    if copies > 1:
        stacked = lambda x: jax.ShapeDtypeStruct((copies, *x.shape), x.dtype)  # noqa: E731
        like = Stacked(jax.tree.map(stacked, like))

    def types():
        state = jax.eval_shape(strategy.init, KEY, like)
        settings = {"strategy": strategy, "fitness": fitness, "block_size": 3}
        settings |= {"batch_size": None, "chunk_size": None}
        program = block.eval_shape(KEY, batch, state, np.int32(1), **settings)
        made = state, jax.eval_shape(strategy.ask, KEY, state), program
        return jax.tree.map(lambda leaf: str(leaf.dtype), made)

    expected = types()
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        assert types() == expected


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="the platform is there")
def test_a_platform_that_is_not_there():
    program = """if True:
        import evoae
        from evoae.runs import PRESETS
        config = PRESETS["digits10"]
        for entry in (
            lambda: evoae.train(config),
            lambda: evoae.resume("nowhere"),
            lambda: evoae.load_run("nowhere"),
            lambda: evoae.sweep(config, {"model.latent_size": [3]}),
            lambda: evoae.compare(config),
        ):
            try:
                entry()
            except ValueError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "JAX_PLATFORMS": "cuda"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    told = "JAX_PLATFORMS must name a device of this machine, got 'cuda'; "
    assert [line.startswith(told) for line in done.stdout.splitlines()] == [True] * 5, done.stdout
