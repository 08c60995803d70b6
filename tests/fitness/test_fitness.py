"""Errors against NumPy, batches of uint8 against floats, and models of one's own."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.fitness.reconstruction_errors import ERRORS
from evoae.models.compiled import applied
from evoae.runs import measuring as judging
from evoae.runs.task import prepare
from tests.numpy_reference import FORMULAS
from tests.random_weights import random_images, random_weights


class FlaxAutoencoder(nn.Module):
    """A model of one's own, from nothing but Flax: images [N, 12, 12, 1], a latent of 3."""

    def setup(self):
        self.conv = nn.Conv(4, (3, 3), (2, 2))
        self.to_latent = nn.Dense(3)
        self.from_latent = nn.Dense(6 * 6 * 2)
        self.transposed = nn.ConvTranspose(1, (3, 3), (2, 2))

    def encode(self, images):
        return self.to_latent(nn.relu(self.conv(images)).reshape(len(images), -1))

    def decode(self, latent):
        image = nn.relu(self.from_latent(latent)).reshape(-1, 6, 6, 2)
        return nn.sigmoid(self.transposed(image))

    def __call__(self, images):
        return self.decode(self.encode(images))


@functools.partial(jax.jit, static_argnums=0)
def error_of(fitness, params, batch):
    return fitness(params, batch)


@functools.partial(jax.jit, static_argnums=(0, 1))
def errors_of_children(strategy, fitness, key, params, images):
    """Of the candidates of a first generation: as `evaluate` has them, and of whole networks."""
    population, _ = strategy.ask(key, strategy.init(key, params))
    batch = fitness.prepare(images)
    found = evoae.evaluate(strategy, fitness, population, batch)
    return found, jax.vmap(fitness, (0, None))(population.dense(strategy), batch)


@functools.partial(jax.jit, static_argnums=0)
def errors_of_changes(fitness, params, images, positions, deltas):
    batch = fitness.prepare(images)
    return fitness.of_changes(fitness.evaluate_parent(params, batch), batch, positions, deltas)


@pytest.fixture(
    scope="module", params=["mlp", "flax"], ids=["evoae.Autoencoder", "any Flax module"]
)
def case(request):
    models = {
        "mlp": evoae.models.mlp(2, hidden=(5,), image_shape=(12, 12, 1)),
        "flax": FlaxAutoencoder(),
    }
    model = models[request.param]
    images = np.random.default_rng(1).integers(0, 256, (6, 12, 12, 1), np.uint8)
    return model, random_weights(model, jnp.zeros((1, 12, 12, 1))), jnp.asarray(images)


@pytest.mark.parametrize("error", FORMULAS)
def test_errors_equal_their_formulas(case, error):
    model, params, images = case
    images = evoae.data.scale(images, 0.0, 1.0)
    output = np.float64(applied(model, params, images))
    expected = FORMULAS[error](output, np.float64(images))
    value = error_of(evoae.fitness.Reconstruction(model, error=error), params, images)
    assert value.shape == ()
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_bce_is_finite_where_the_output_is_saturated():
    model = evoae.models.mlp(1, hidden=(2,), image_shape=(2, 2, 1))
    params = random_weights(model, jnp.zeros((1, 2, 2, 1)))
    params["decoder"]["1_Dense"]["bias"] = jnp.float32([200.0, -200.0, 200.0, -200.0])
    fitness = evoae.fitness.Reconstruction(model, error="bce")
    # One error of two kinds in four pixels: -log(1e-6) = 13.8 each.
    wrong = error_of(fitness, params, np.float32([0.0, 1.0, 1.0, 0.0]).reshape(1, 2, 2, 1))
    np.testing.assert_allclose(wrong, 2 * 13.8155 / 4, rtol=1e-2)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1, 0.9)])
def test_uint8_scaled_by_the_fitness_equals_floats(case, low, high):
    model, params, images = case
    fitness = evoae.fitness.Reconstruction(model, error="mse", low=low, high=high)
    value = error_of(fitness, params, images)
    of_floats = error_of(fitness, params, evoae.data.scale(images, low, high))
    np.testing.assert_array_equal(value, of_floats)
    expected = low + (high - low) * np.float64(images) / 255
    output = np.float64(applied(model, params, jnp.float32(expected)))
    np.testing.assert_allclose(value, np.square(output - expected).mean(), rtol=1e-5)


def test_preparing_the_batch_changes_nothing(case):
    model, params, images = case
    fitness = evoae.fitness.Reconstruction(model, error="mae")
    prepared = fitness.prepare(images)
    values = error_of(fitness, params, prepared), error_of(fitness, params, images)
    np.testing.assert_allclose(*values, rtol=1e-6)
    twice = fitness.prepare(prepared)
    jax.tree.map(np.testing.assert_array_equal, prepared, twice)


def test_any_flax_module_evolves():
    model = FlaxAutoencoder()
    images = random_images(6, 12, 12, 1) ** 4
    params = random_weights(model, images)
    fitness = evoae.fitness.Reconstruction(model, error="mse")
    strategy = evoae.strategies.GeneticAlgorithm(
        population_size=16, mutation=evoae.mutations.Sparse(num_weights=2)
    )
    state = strategy.init(jax.random.key(2), params)
    state, trace = evoae.evolve(
        jax.random.key(3), strategy, fitness, images, state, num_generations=50
    )
    assert trace.best_fitness[-1] < 0.9 * trace.best_fitness[0]
    np.testing.assert_allclose(state.best_fitness, error_of(fitness, state.best, images), atol=1e-6)


class Normalised(nn.Module):
    """Images [N, 6, 6, 1], with running statistics, and with a dropout that is off."""

    @nn.compact
    def __call__(self, images):
        hidden = nn.Dense(4)(images.reshape(len(images), -1))
        hidden = nn.BatchNorm(use_running_average=True)(hidden)
        hidden = nn.Dropout(0.5, deterministic=True)(nn.relu(hidden))
        return nn.sigmoid(nn.Dense(36)(hidden)).reshape(images.shape)


def normalised(mean=0.3):
    """Images, weights, and running statistics that are not those of the start."""
    images = random_images(6, 6, 6, 1) ** 4
    statistics = {"BatchNorm_0": {"mean": jnp.full(4, mean), "var": jnp.full(4, 0.7)}}
    return images, random_weights(Normalised(), images), {"batch_stats": statistics}


def test_collections_beside_the_weights_stay_as_they_are(key):
    images, params, collections = normalised()
    fitness = evoae.fitness.Reconstruction(Normalised(), collections=collections)
    strategy = evoae.strategies.GeneticAlgorithm(16, mutation=evoae.mutations.Gaussian(0.5))
    start = strategy.init(key, params)
    state, trace = evoae.evolve(key, strategy, fitness, images, start, num_generations=300)
    assert trace.num_invalid.max() == 0  # a variance below 0 would give NaN
    assert trace.best_fitness[-1] < 0.8 * trace.best_fitness[0]
    jax.tree.map(np.testing.assert_array_equal, fitness.collections.tree, collections)
    output = jax.jit(Normalised().apply)({"params": state.best, **collections}, images)
    expected = np.square(np.float64(output) - np.float64(images)).mean()
    np.testing.assert_allclose(state.best_fitness, expected, rtol=1e-5)


def test_equal_collections_make_an_equal_fitness():
    one, same, other = (
        evoae.fitness.Reconstruction(Normalised(), collections=normalised(mean)[2])
        for mean in (0.3, 0.3, 0.4)
    )
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    without = evoae.fitness.Reconstruction(Normalised(), collections={})
    assert without == evoae.fitness.Reconstruction(Normalised())


def test_variables_in_the_wrong_place_are_named():
    images, params, collections = normalised()
    make = functools.partial(evoae.fitness.Reconstruction, Normalised())
    variables = {"params": params, **collections}
    for use, message in (
        (lambda: make()(variables, images), r"params must be .* \['batch_stats', 'params'\]"),
        (lambda: make()(params, images), 'collections must hold all .* collection "batch_stats"'),
        (lambda: make(collections=variables), r'beside "params", .* \[\'batch_stats\', \'params'),
        (lambda: make(collections=0.3), r"collections must be .* got 0\.3"),
    ):
        with pytest.raises(ValueError, match=message):
            use()


class Transposing(nn.Module):
    """Returns images of another shape than it is given."""

    @nn.compact
    def __call__(self, images):
        return nn.Dense(2)(images)


def test_errors_name_what_came_and_what_is_allowed(case):
    model, params, images = case
    make = evoae.fitness.Reconstruction
    for use, message in (
        (
            lambda: make(model, error="l1"),
            "error must be one of mae, mse, rmse, bce, logit_huber, correlation, ssim; got 'l1'",
        ),
        (lambda: make("varadi2021"), "model must be a module of Flax .*; got 'varadi2021'"),
        (lambda: make(model, low=1.0, high=0.5), "low must be below high, got 1.0 and 0.5"),
        (lambda: make(model)(params, images[0]), r"images must have shape .*got \(12, 12, 1\)"),
        (lambda: make(model)(params, images[:0]), r"images must have shape .*got \(0, 12, 12, 1\)"),
        (
            lambda: make(model)(params, images.astype(int)),
            "images must be uint8 or floats, got int",
        ),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            use()
        assert "\n" not in str(caught.value)


def test_a_model_that_returns_another_shape_is_an_error():
    model, images = Transposing(), jnp.zeros((3, 4, 4, 1))
    params = random_weights(model, images)
    with pytest.raises(
        ValueError, match=r"model must return images .*\(3, 4, 4, 1\).*\(3, 4, 4, 2\)"
    ):
        evoae.fitness.Reconstruction(model)(params, images)


def test_equal_fitness_is_equal_and_hashes_equally():
    make = lambda: evoae.fitness.Reconstruction(evoae.models.varadi2021(), error="mae")  # noqa: E731
    assert make() == make()
    assert hash(make()) == hash(make())


@pytest.mark.parametrize("precision", ["tensorfloat32", "bfloat16"])
def test_less_precise_evaluation_is_near_and_summed_in_float32(precision):
    images = evoae.data.load("digits10", low=0.1, high=0.9).images
    model = evoae.models.mlp(2, hidden=())
    params = random_weights(model, images)
    exact = evoae.fitness.Reconstruction(model, "mse")
    rough = evoae.fitness.Reconstruction(model, "mse", precision=precision)
    expected, found = (error_of(fitness, params, images) for fitness in (exact, rough))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=2e-2)
    if precision == "bfloat16":
        assert found != expected
    # A single changed weight would drown in bfloat16, so these are as exact as ever.
    changes = jnp.array([3, 1_700]), jnp.array([1e-3, -1e-3])
    errors = [errors_of_changes(fitness, params, images, *changes) for fitness in (exact, rough)]
    np.testing.assert_allclose(*errors, rtol=1e-6)


def test_an_unknown_precision_is_an_error():
    with pytest.raises(ValueError, match=r"precision must be one of float32, .* got 'float16'"):
        evoae.fitness.Reconstruction(evoae.models.varadi2021(), precision="float16")


# Errors of whole images


WHOLE = [name for name, error in ERRORS.items() if not error.of_pixels]
every_whole_error = pytest.mark.parametrize("error", WHOLE)


def test_colours_and_sides_that_differ_are_compared_as_by_scikit_image():
    model = evoae.models.mlp(2, hidden=(3,), image_shape=(11, 15, 3))
    images = random_images(2, 11, 15, 3)
    params = random_weights(model, images)
    expected = FORMULAS["ssim"](np.float64(applied(model, params, images)), np.float64(images))
    value = error_of(evoae.fitness.Reconstruction(model, error="ssim"), params, images)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@every_whole_error
def test_images_of_one_colour_have_errors_and_slopes(error):
    model = evoae.models.mlp(1, hidden=(2,), image_shape=(12, 12, 1))
    params = jax.tree.map(jnp.zeros_like, random_weights(model, jnp.zeros((1, 12, 12, 1))))
    fitness = evoae.fitness.Reconstruction(model, error=error)  # the output is 0.5 throughout
    with_slope, values = jax.jit(jax.value_and_grad(fitness)), {}
    for name, pixels in (("black", 0.0), ("same", 0.5), ("drawn", np.arange(144) / 143)):
        images = jnp.broadcast_to(jnp.float32(np.reshape(pixels, (-1, 1, 1))), (144, 1, 1))
        values[name], slope = with_slope(params, images.reshape(1, 12, 12, 1))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    if error == "correlation":
        np.testing.assert_allclose(list(values.values()), 1, atol=1e-6)
    else:
        assert values["same"] == pytest.approx(0, abs=1e-6)
        assert 0 < values["drawn"] < 1


@every_whole_error
def test_children_with_one_changed_weight_are_evaluated_as_whole_networks(error, key):
    model = evoae.models.mlp(2, hidden=(), image_shape=(12, 12, 1))
    images = random_images(5, 12, 12, 1)
    fitness = evoae.fitness.Reconstruction(model, error=error)
    strategy = evoae.strategies.GeneticAlgorithm(9, mutation=evoae.mutations.Sparse(1))
    params = random_weights(model, images)
    found, whole = errors_of_children(strategy, fitness, key, params, images)
    np.testing.assert_allclose(found, whole, rtol=1e-5)
    batch = fitness.prepare(images)
    with pytest.raises(ValueError, match=f"error must be one of single pixels.* got '{error}'"):
        fitness.of_changes(None, batch, jnp.int32([0]), jnp.zeros(1))


def test_images_smaller_than_the_window_are_refused():
    model = evoae.models.mlp(1, hidden=(2,), image_shape=(12, 10, 1))
    images = jnp.zeros((2, 12, 10, 1))
    params = random_weights(model, images)
    message = "error: ssim needs images of at least 11x11 pixels, got 12x10"
    with pytest.raises(ValueError, match=message):
        evoae.fitness.Reconstruction(model, error="ssim")(params, images)
    with pytest.raises(ValueError, match=message):
        evoae.fitness.compute_baselines(images, error="ssim")


@every_whole_error
def test_the_error_on_parts_is_that_on_all(error, monkeypatch):
    """Also where the last part is smaller."""
    model = evoae.models.mlp(1, hidden=(2,), image_shape=(12, 12, 1))
    images = np.random.default_rng(0).integers(0, 256, (7, 12, 12, 1), np.uint8)
    fitness = evoae.fitness.Reconstruction(model, error=error)
    params = random_weights(model, jnp.zeros((1, 12, 12, 1)))
    monkeypatch.setattr(judging, "CHUNK_SIZE", 3)
    found = judging.measure_error(fitness, params, images)
    assert found == pytest.approx(float(error_of(fitness, params, images)), rel=1e-5)


def test_a_run_on_images_that_are_too_small_does_not_begin(tmp_path):
    np.savez(tmp_path / "images.npz", images=np.zeros((2, 12, 9), np.uint8))
    config = evoae.runs.config.RunConfig(
        data=evoae.runs.config.DataConfig(str(tmp_path / "images.npz")),
        model=evoae.runs.config.ModelConfig("mlp"),
        error="ssim",
        num_generations=1,
    )
    with pytest.raises(ValueError, match="ssim needs images of at least 11x11 pixels, got 12x9"):
        prepare(config)
