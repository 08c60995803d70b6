"""Least-squares recombination against the definition, NumPy and exact derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import fitness as fitnesses
from evoae import mutations, strategies, trees
from evoae.engine.memory import memory_estimate
from evoae.engine.output_evaluation import evaluate_outputs
from evoae.fitness.batches import prepared
from evoae.fitness.effects import blocks_of, gram
from evoae.layers import Conv, ConvTranspose, Dense, MaxPool, Reshape
from evoae.strategies import LeastSquares, SuccessiveHalving
from evoae.strategies.least_squares import Trials
from evoae.strategies.ridge import solve

IMAGES = jax.random.uniform(jax.random.key(0), (5, 8, 8, 1), minval=0.1, maxval=0.9)
MODEL = evoae.Autoencoder(
    [Conv(2, 3), MaxPool(2), Dense(3, activation="sigmoid")],
    [
        Dense(18, activation="sigmoid"),
        Reshape(2, 3, 3),
        ConvTranspose(1, 3, stride=2, activation="sigmoid"),
        ConvTranspose(1, 2, activation="sigmoid"),
    ],
    "uniform",
)


def targets(params, points):
    """Fifty residuals of two numbers."""
    return params["slope"] * points + params["height"] - jnp.sin(points)


POINTS = jnp.linspace(0.0, 1.0, 50)
LINE = {"height": jnp.zeros(1), "slope": jnp.zeros(1)}


@pytest.mark.parametrize("count", [1, 3, 64, 65, 600])
def test_blocks_have_every_unknown_once(count):
    assert np.concatenate([np.arange(count)[own] for own in blocks_of(count)]).tolist() == list(
        range(count)
    )


@pytest.mark.parametrize("count", [1, 40, 300])
def test_the_solve_is_that_of_numpy(count):
    rng = np.random.default_rng(count)
    rows = rng.normal(size=(count, 400)).astype(np.float32)
    weights = rng.uniform(0.1, 1, 400).astype(np.float32)
    ridge = rng.uniform(0.1, 1, count).astype(np.float32)
    aim = rng.normal(size=400)
    moment = (rows @ (weights * aim)).astype(np.float32)
    found = jax.jit(solve)(jax.jit(gram)(rows, weights), ridge, moment)
    # Least squares of the rows, and of one row more for each ridge.
    stacked = np.concatenate([(np.sqrt(weights) * rows).T.astype(float), np.diag(np.sqrt(ridge))])
    wanted = np.concatenate([np.sqrt(weights) * aim, np.zeros(count)])
    least = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    np.testing.assert_allclose(found, least, rtol=2e-3, atol=1e-4 * np.abs(least).max())


def one_generation(strategy, fitness, batch, params):
    state = strategy.init(jax.random.key(1), params)
    key = jax.random.key(2)
    return evoae.evolve(key, strategy, fitness, batch, state, num_generations=1)


def test_a_linear_network_is_solved_in_one_generation():
    model = evoae.Autoencoder(
        [Dense(4, activation="linear")], [Dense(6, activation="linear"), Reshape(1, 2, 3)]
    )
    images = jax.random.uniform(jax.random.key(3), (9, 2, 3, 1))
    fitness = fitnesses.Reconstruction(model, "mse")
    params = model.init(jax.random.key(4), images)["params"]
    # Of the decoder alone, the network is linear in its weights.
    latent = model.apply({"params": params}, images, method="encode")

    def miss(decoder, latent):
        whole = {"params": {**params, "decoder": decoder}}
        return model.apply(whole, latent, method="decode") - images

    own = fitnesses.Residuals(miss)
    state, trace = one_generation(
        LeastSquares(damping=1e-5, longest_step=1e3), own, latent, params["decoder"]
    )
    inputs = np.concatenate([latent, np.ones((9, 1))], 1).astype(float)
    wanted = np.asarray(images, float).reshape(9, 6)
    least = np.linalg.lstsq(inputs, wanted, rcond=None)[0]
    error = np.square(inputs @ least - wanted).mean()
    np.testing.assert_allclose(state.best_fitness, error, rtol=1e-3)
    np.testing.assert_allclose(fitness({**params, "decoder": state.best}, images), error, rtol=1e-3)
    assert trace.best_fitness.shape == (1,)


def test_own_residuals_are_fitted_by_any_mutation():
    least = np.linalg.lstsq(np.stack([np.ones(50), POINTS], 1), np.sin(POINTS), rcond=None)[0]
    for mutation in (None, mutations.Gaussian(0.01), mutations.LowRank(0.01)):
        strategy = LeastSquares(5, damping=1e-6, probe=mutation)
        state, _ = one_generation(strategy, fitnesses.Residuals(targets), POINTS, LINE)
        np.testing.assert_allclose(
            [state.best["height"][0], state.best["slope"][0]], least, atol=2e-3
        )


def test_a_loop_of_your_own_gives_outputs_as_an_array():
    strategy, fitness = LeastSquares(2), fitnesses.Residuals(targets)
    state = strategy.init(jax.random.key(1), LINE)
    expected, _ = one_generation(strategy, fitness, POINTS, LINE)
    key = jax.random.fold_in(jax.random.key(2), 0)
    _, for_ask, for_tell = jax.random.split(key, 3)
    while True:
        population, state = strategy.ask(for_ask, state)
        networks = population.dense(strategy)
        residuals = jax.vmap(targets, (0, None))(networks, POINTS)
        outputs = fitnesses.Outputs.of_residuals(residuals)
        state, _ = strategy.tell(for_tell, population, outputs, state)
        if not strategy.is_midway(state):
            break
        for_ask, for_tell = (jax.random.fold_in(key, 1) for key in (for_ask, for_tell))
    assert float(state.best_fitness) == pytest.approx(float(expected.best_fitness), rel=1e-5)


@functools.cache
def small_run(error, probe=None, num_generations=8, **settings):
    fitness = fitnesses.Reconstruction(MODEL, error)
    params = MODEL.init(jax.random.key(5), IMAGES)["params"]
    strategy = LeastSquares(40, probe=probe, **settings)
    state = strategy.init(jax.random.key(1), params)
    run = jax.random.key(2), strategy, fitness, IMAGES, state
    return run, evoae.evolve(*run, num_generations=num_generations)


@pytest.mark.parametrize("error", ["mae", "mse", "rmse", "bce", "logit_huber"])
def test_expansions_are_tangent_to_the_error_and_above_it(error):
    """The parabola of each output touches the error there, and bends enough."""
    fitness = fitnesses.Reconstruction(MODEL, error)
    part = fitnesses.Part(fitness.prepare(IMAGES), jnp.ones(len(IMAGES)))
    outputs = 2 * jax.random.normal(jax.random.key(7), (IMAGES.size,))
    near = fitness.expand(outputs, part, jnp.float32(1e-6))
    target = part.batch.targets.reshape(-1)
    values, slopes = jax.jvp(
        lambda pre: fitness._of_pre_activation(pre, target), (outputs,), (jnp.ones_like(outputs),)
    )
    np.testing.assert_allclose(near.values, values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(near.slopes, slopes, rtol=1e-4, atol=1e-6)
    assert (near.curvatures > 0).all()


def test_a_search_begins_with_the_error_of_logits():
    """By its definition; what it is not for has the error itself."""
    fitness = fitnesses.Reconstruction(MODEL, "mae")
    part = fitnesses.Part(fitness.prepare(IMAGES), jnp.ones(len(IMAGES)))
    outputs, floor = 3 * jax.random.normal(jax.random.key(7), (IMAGES.size,)), jnp.float32(0.1)
    near = fitness.expand_early(outputs, part, floor)
    target = np.asarray(part.batch.targets, float).ravel()
    difference = np.asarray(outputs, float) - np.log(target / (1 - target))
    distance = np.abs(difference)
    assert 0.2 < (distance < 1).mean() < 0.8
    huber = np.where(distance < 1, distance**2 / 2, distance - 0.5)
    np.testing.assert_allclose(near.values, huber, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(near.slopes, np.clip(difference, -1, 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(near.curvatures, 1 / np.maximum(distance, 1), rtol=1e-4)
    for other in (
        fitnesses.Reconstruction(MODEL, "mse"),
        fitnesses.Reconstruction(MODEL, "logit_huber"),
        fitnesses.Reconstruction(MODEL, "mae", low=-1.0),
        fitnesses.Reconstruction(evoae.Autoencoder([Dense(2)], [Dense(64), Reshape(1, 8, 8)])),
    ):
        part = fitnesses.Part(other.prepare(IMAGES), jnp.ones(len(IMAGES)))
        same = other.expand_early(outputs, part, floor), other.expand(outputs, part, floor)
        jax.tree.map(np.testing.assert_array_equal, *same)


def test_trials_are_compared_by_the_early_error_until_directions_have_grown():
    (_, strategy, fitness, _, state), _ = small_run("mae")
    part = fitnesses.Part(fitness.prepare(IMAGES), jnp.ones(len(IMAGES)))
    values = jax.random.normal(jax.random.key(7), (3, IMAGES.size))
    outputs = fitnesses.Outputs(
        values[0],
        fitnesses.Effects(values[1:] - values[:1]),
        jnp.float32(IMAGES.size),
        lambda outputs, floor: fitness.expand(outputs, part, floor),
        fitness.finish,
        lambda outputs, floor: fitness.expand_early(outputs, part, floor),
    )
    early, own = (
        expand(values, state.floor).values.sum(1)
        for expand in (outputs.expand_early, outputs.expand)
    )
    assert int(state.last_stage) == 1
    for stage, expected in ((0, early), (1, own)):
        search = state._replace(stage=jnp.int32(stage))
        sums = strategy.sum_outputs(None, outputs, Trials(search, None))
        np.testing.assert_allclose(sums.compared, expected, rtol=1e-5)
        np.testing.assert_allclose(
            sums.exact,
            jnp.abs(jax.nn.sigmoid(values) - part.batch.targets.reshape(1, -1)).sum(1),
            rtol=1e-5,
        )


@pytest.mark.parametrize("error", ["mae", "mse"])
def test_no_generation_is_a_step_back(error):
    (_, _, fitness, _, state), (after, trace) = small_run(error)
    assert after.best_fitness < 0.9 * fitness(state.parent, IMAGES)
    np.testing.assert_allclose(fitness(after.best, IMAGES), after.best_fitness, rtol=1e-5)
    if error != "mae":  # with a floor it is another error
        assert np.all(np.diff(trace.best_fitness) <= 1e-6 * trace.best_fitness[:-1])
    assert not trace.num_invalid.any()


def test_directions_grow_where_the_error_stands_still():
    fitness = fitnesses.Residuals(targets)
    strategy = LeastSquares(1, least_gain=1e6)
    state = strategy.init(jax.random.key(1), LINE)
    run = jax.random.key(2), strategy, fitness, POINTS
    after, _ = evoae.evolve(*run, state, num_generations=20)
    assert int(after.stage) == 1  # the first look has nothing to compare with
    phase, left = strategy.phase(after)
    assert (phase.num_directions, left) == (2, 10)
    last, _ = evoae.evolve(*run, after, num_generations=15)
    assert int(last.stage) == 1  # the last
    assert strategy.num_evaluations(last) == 20 * (2 + 3) + 15 * (3 + 3)
    straight, _ = evoae.evolve(*run, state, num_generations=35, block_size=7)
    jax.tree.map(np.testing.assert_array_equal, last, straight)
    # As one program with runs that have come to another stage.
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), state, after)
    states, trace = evoae.evolve_runs(jnp.stack([run[0]] * 2), *run[1:], states, num_generations=15)
    assert trace.best_fitness.shape == (2, 15)
    of_second = jax.tree.map(lambda leaf: leaf[1], states)
    np.testing.assert_allclose(of_second.best_fitness, last.best_fitness, rtol=1e-6)
    # Both are at the minimum, where weights that differ by 1e-5 have the same error but for 1e-7.
    for own, other in ((last.best, of_second.best), (last.parent, of_second.parent)):
        jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-4), own, other)
    assert (last.stage, last.evaluations) == (of_second.stage, of_second.evaluations)


def test_the_floor_falls_over_most_of_a_run():
    strategy = LeastSquares(floor=0.2, last_floor=0.002).fitted_to(50)
    assert 0.2 * strategy.floor_decay ** (0.7 * 50) == pytest.approx(0.002)
    assert LeastSquares(floor=0.1, last_floor=0.5).fitted_to(3).floor_decay == 1


def test_mutations_of_whole_networks_are_taken_both_ways():
    settings = {"probe": mutations.Gaussian(0.003), "central": True}
    (_, strategy, fitness, _, state), (after, _) = small_run("mse", **settings)
    assert after.best_fitness < 0.9 * fitness(state.parent, IMAGES)
    population, _ = strategy.ask(jax.random.key(0), state)
    networks = jax.vmap(trees.ravel)(population.dense(strategy))
    assert len(networks) == 81
    np.testing.assert_allclose(
        networks[1:41] + networks[41:], 2 * networks[:1].repeat(40, 0), rtol=1e-5
    )


def test_whole_networks_and_changed_weights_are_told_the_same():
    (key, strategy, fitness, _, state), _ = small_run("mae")
    batch = prepared(fitness, IMAGES)
    population, state = strategy.ask(key, state)

    class Whole(LeastSquares):
        def single_changes(self, population):
            return None

    @functools.partial(jax.jit, static_argnums=0)
    def sums(strategy, population, state):
        return evaluate_outputs(strategy, fitness, population, batch, state).sums

    found, whole = (sums(kind(40), population, state) for kind in (LeastSquares, Whole))
    lower = np.tril(np.ones_like(found.gram))
    np.testing.assert_allclose(found.gram * lower, whole.gram * lower, rtol=0.02, atol=1e-6)
    np.testing.assert_allclose(found.error, whole.error, rtol=1e-6)


def test_parts_have_the_sums_of_the_whole():
    """Parts of images, filled up, against the outputs of all images at once."""
    (key, strategy, fitness, _, state), _ = small_run("mae")
    population, state = strategy.ask(key, state)
    batch = prepared(fitness, IMAGES)

    @jax.jit
    def both(population, state):
        sums = evaluate_outputs(strategy, fitness, population, batch, state)
        part = fitnesses.Part(batch, jnp.ones(len(IMAGES)))
        values = jax.vmap(lambda p: fitness.outputs(p, part))(population.dense(strategy))
        outputs = fitnesses.Outputs(
            values[0],
            fitnesses.Effects(values[1:] - values[:1]),
            jnp.float32(values.shape[1]),
            lambda outputs, floor: fitness.expand(outputs, part, floor),
            fitness.finish,
            lambda outputs, floor: fitness.expand_early(outputs, part, floor),
        )
        return sums.sums, sums.number, strategy.sum_outputs(population, outputs, state)

    sums, number, whole = both(population, state)
    assert float(number) == IMAGES.size
    np.testing.assert_allclose(sums.error, whole.error, rtol=1e-5)
    np.testing.assert_allclose(sums.moment, whole.moment, rtol=0.02, atol=1e-5)


def test_starts_are_raced_and_the_best_one_goes_on():
    fitness = fitnesses.Reconstruction(MODEL, "mse")
    race = SuccessiveHalving(LeastSquares(20, 40), num_starts=3, generations_each=4)
    networks = jax.vmap(lambda key: MODEL.init(key, IMAGES)["params"])(
        jax.random.split(jax.random.key(6), 3)
    )
    state = race.init(jax.random.key(1), evoae.Stacked(networks))
    run = jax.random.key(2), race, fitness, IMAGES
    state, trace = evoae.evolve(*run, state, num_generations=17)
    assert int(state.starts.generation.sum()) == 17
    assert bool(state.decided)
    best = np.argmin(trace.best_fitness[[3, 7, 11]])
    assert int(state.active) == best
    assert float(race.num_evaluations(state)) == 17 * (1 + 20 + 3)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: LeastSquares(9, 3), "most_directions must be at least num_directions, 9; got 3"),
        (lambda: LeastSquares(probe=3), "probe must be None or one of evoae.mutations"),
        (
            lambda: LeastSquares().init(jax.random.key(0), evoae.Stacked(LINE)),
            "params must be one network for LeastSquares",
        ),
        (
            lambda: one_generation(LeastSquares(), lambda params, batch: 0.0, None, LINE),
            "fitness must be one whose outputs can be read",
        ),
        (
            lambda: one_generation(
                LeastSquares(),
                fitnesses.Reconstruction(evoae.models.mlp(2, image_shape=(12, 12, 1)), "ssim"),
                jnp.zeros((3, 12, 12, 1)),
                LINE,
            ),
            "error must be one of single pixels",
        ),
        (
            lambda: fitnesses.Outputs.of_residuals(jnp.zeros(3)),
            r"residuals must have shape \[P, M\]",
        ),
        (
            lambda: strategies.Islands(LeastSquares(), num_migrants=0).init(
                jax.random.key(0), LINE
            ),
            "Islands: strategy must be one that reads only errors",
        ),
        (lambda: fitnesses.Residuals(3), "function must be a function, got 3"),
    ],
)
def test_what_does_not_fit_is_said(act, message):
    with pytest.raises(ValueError, match=message):
        act()


def test_memory_is_that_of_the_largest_population():
    (_, _, fitness, _, state), _ = small_run("mse")
    size = trees.size(state.parent)
    part = 3 * IMAGES[0].size  # of five images the larger part
    estimate = memory_estimate(LeastSquares(40), fitness, IMAGES, state)
    sums = size * size + size + 1  # of each of two parts
    assert estimate.outputs == 4 * (3 * (1 + size) * part + sums)
    race = SuccessiveHalving(LeastSquares(40), num_starts=2)
    networks = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state.parent)
    first = race.init(jax.random.key(1), evoae.Stacked(networks))
    assert memory_estimate(race, fitness, IMAGES, first).outputs == estimate.outputs
    with pytest.raises(ValueError, match="fitness must be one whose outputs can be read"):
        memory_estimate(LeastSquares(40), lambda params, images: 0.0, IMAGES, state)


def test_errors_alone_are_not_enough():
    strategy = LeastSquares(2)
    population, state = strategy.ask(jax.random.key(0), strategy.init(jax.random.key(0), LINE))
    with pytest.raises(ValueError, match="fitness must be the outputs of candidates"):
        strategy.tell(jax.random.key(0), population, jnp.zeros(population.size), state)


def test_a_candidate_without_a_finite_output_is_never_a_parent():
    def wild(params, points):
        return jnp.where(params["slope"] > 0.1, jnp.nan, targets(params, points))

    strategy = LeastSquares(2)
    state = strategy.init(jax.random.key(1), LINE)
    state, trace = evoae.evolve(
        jax.random.key(2), strategy, fitnesses.Residuals(wild), POINTS, state, num_generations=10
    )
    assert trace.num_invalid.any()
    assert np.isfinite(trace.best_fitness).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state._replace(last_error=0.0)))
