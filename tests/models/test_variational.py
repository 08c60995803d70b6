"""The variational autoencoder: its terms in closed form, its noise, and what a run makes of it."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import evoae
from evoae import encodings, trees
from evoae.cli.options import parse_run
from evoae.fitness import Reconstruction
from evoae.fitness.batches import prepared
from evoae.layers import Dense, GaussianLatent, Reshape, UnitGraph
from evoae.models import variational
from evoae.mutations import Gaussian, Sparse
from evoae.runs import Clock, backprop, compare, resume, train
from evoae.runs.config import PRESETS, DataConfig, ModelConfig, RunConfig, from_json, to_json
from evoae.runs.measuring import measure_evidence
from evoae.strategies import GeneticAlgorithm
from tests.blocks import Blocks
from tests.random_weights import random_weights

pytestmark = pytest.mark.usefixtures("few_units")

MODEL = variational(evoae.models.mlp(2, hidden=(8,), image_shape=(6, 5, 1)))
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 1), np.uint8)


def initial(model):
    return random_weights(model, evoae.data.scale(IMAGES, 0.0, 1.0))


@functools.partial(jax.jit, static_argnums=(0, 1))
def errors_of_children(strategy, fitness, key, params, batch):
    """Of the candidates of a first generation: as `evaluate` has them, and of whole networks."""
    population, _ = strategy.ask(key, strategy.init(key, params))
    found = evoae.evaluate(strategy, fitness, population, batch)
    return found, jax.vmap(fitness, (0, None))(population.dense(strategy), batch)


# The terms


def test_the_divergence_is_that_of_the_definition():
    """By numerical integration of q log (q / p) over each latent value."""
    rng = np.random.default_rng(1)
    mean, log_variance = rng.normal(size=(2, 3, 4))
    x = np.linspace(-15, 15, 30_001)[:, None, None]
    q = scipy.stats.norm(mean, np.exp(log_variance / 2))
    ratio = q.logpdf(x) - scipy.stats.norm.logpdf(x)
    expected = np.trapezoid(q.pdf(x) * ratio, x, axis=0).sum(0)
    found = GaussianLatent().divergence(jnp.float32(np.concatenate([mean, log_variance])))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# Encoder and decoder are one linear map each, so that all is known: x = W z + c + noise.
LATENT, SIDE, VARIANCE = 2, 3, 0.2
LINEAR = variational(
    evoae.Autoencoder(
        [Dense(LATENT, activation="linear")],
        [Dense(SIDE * SIDE, activation="linear"), Reshape(1, SIDE, SIDE)],
    )
)


@pytest.fixture
def toy():
    """Images, W, c, and weights whose encoder gives the means and variances of the posterior."""
    rng = np.random.default_rng(2)
    w = np.diag([1.0, 0.5]) @ np.linalg.qr(rng.normal(size=(SIDE * SIDE, LATENT)))[0].T
    c, images = rng.normal(size=SIDE * SIDE), rng.normal(size=(4, SIDE * SIDE))
    variance = 1 / (1 + np.diag(w @ w.T) / VARIANCE)  # of the posterior, whose axes are those of z
    to_mean = variance[:, None] * w / VARIANCE
    kernel = np.concatenate([to_mean, np.zeros_like(to_mean)])
    bias = np.concatenate([-to_mean @ c, np.log(variance)])
    params = {
        "encoder": {"0_Dense": {"kernel": kernel, "bias": bias}},
        "decoder": {"0_Dense": {"kernel": w.T, "bias": c}},
    }
    params = jax.tree.map(jnp.float32, params)
    return images.astype(np.float32), w, c, params


def mean_fitness(params, images, kl_weight, count=40_000):
    fitness = Reconstruction(LINEAR, "mse", kl_weight=kl_weight)
    batch = images.reshape(-1, SIDE, SIDE, 1)
    return float(mean_over_noise(fitness, params, batch, count))


@functools.partial(jax.jit, static_argnums=(0, 3))
def mean_over_noise(fitness, params, batch, count):
    keys = jax.random.split(jax.random.key(3), count)
    return jax.vmap(lambda key: fitness(params, fitness.prepare(batch, key)))(keys).mean()


def test_the_bound_is_the_evidence_where_the_encoder_gives_the_posterior(toy):
    """-log N(x; c, W W^T + s^2 I), to which the mean bound is equal there and nowhere else."""
    images, w, c, params = toy
    marginal = scipy.stats.multivariate_normal(c, w.T @ w + VARIANCE * np.eye(SIDE * SIDE))
    expected = -marginal.logpdf(images).mean()

    def bound(params):
        value = mean_fitness(params, images, kl_weight=2 * VARIANCE)
        return SIDE * SIDE * (value / (2 * VARIANCE) + 0.5 * np.log(2 * np.pi * VARIANCE))

    assert bound(params) == pytest.approx(expected, rel=2e-3)
    other = jax.tree.map(lambda leaf: leaf, params)
    other["encoder"]["0_Dense"]["bias"] += 0.3
    assert bound(other) > 1.01 * expected


def test_the_expected_error_of_samples_is_the_analytic_one(toy):
    """|x - W mean - c|^2 + the trace of W^T S W, over the pixels."""
    images, w, c, params = toy
    of_encoder = jax.tree.map(np.float64, params["encoder"]["0_Dense"])
    mean = (images @ of_encoder["kernel"].T + of_encoder["bias"])[:, :LATENT]
    variance = np.exp(of_encoder["bias"][LATENT:])
    squares = np.square(images - mean @ w - c).sum(1) + variance @ np.square(w).sum(1)
    found = mean_fitness(params, images, kl_weight=0.0)
    assert found == pytest.approx(squares.mean() / SIDE**2, rel=2e-3)


def test_bernoulli_pixels_have_their_bound(key):
    fitness, params = Reconstruction(MODEL, "bce", kl_weight=0.7), initial(MODEL)
    batch = fitness.prepare(IMAGES, jax.random.key(5))
    x, weights = IMAGES.reshape(10, 30) / 255, jax.tree.map(np.float64, params)
    layer = lambda stack, name, x: (  # noqa: E731
        x @ weights[stack][name]["kernel"].T + weights[stack][name]["bias"]
    )
    parts = layer("encoder", "1_Dense", np.maximum(layer("encoder", "0_Dense", x), 0))
    mean, log_variance = np.split(parts, 2, axis=1)
    z = mean + np.exp(log_variance / 2) * np.asarray(batch.latent_noise.T, np.float64)
    logits = layer("decoder", "1_Dense", np.maximum(layer("decoder", "0_Dense", z), 0))
    cross_entropy = (np.logaddexp(0, logits) - x * logits).sum(1)
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)
    expected = (cross_entropy + 0.7 * kl).mean() / 30
    assert float(fitness(params, batch)) == pytest.approx(expected, rel=1e-5)
    whole = dataclasses.replace(fitness, kl_weight=1.0)
    found = measure_evidence(whole, params, IMAGES)
    assert found.divergence == pytest.approx(kl.mean(), rel=1e-3)
    of_mean = dataclasses.replace(fitness, kl_weight=None)(params, IMAGES)
    outputs = np.asarray(
        MODEL.apply({"params": params}, evoae.data.scale(IMAGES, 0.0, 1.0)), np.float64
    )
    pixels = x.reshape(outputs.shape)
    cross_entropy = -(pixels * np.log(outputs) + (1 - pixels) * np.log1p(-outputs))
    assert float(of_mean) == pytest.approx(cross_entropy.mean(), rel=1e-4)


# The noise


def test_candidates_of_a_generation_share_their_noise_and_generations_do_not(key):
    fitness, params = Reconstruction(MODEL, "bce", kl_weight=1.0), initial(MODEL)
    strategy = GeneticAlgorithm(8, mutation=Gaussian(1e-30))  # children that are their parent
    run = functools.partial(evoae.evolve, key, strategy, fitness, IMAGES, batch_size=4)
    start = strategy.init(key, params)
    state, found = start, []
    for _ in range(2):
        state, one = run(state, num_generations=1)
        np.testing.assert_allclose(one.mean_fitness, one.best_fitness, rtol=1e-6)
        found.append(one.best_fitness[0])
    assert found[0] != found[1]
    _, trace = run(start, num_generations=2)
    np.testing.assert_allclose(trace.best_fitness, found, rtol=1e-6)


def test_changes_genes_and_gradients_see_the_same_fitness(key):
    fitness, params = Reconstruction(MODEL, "bce", kl_weight=1.0), initial(MODEL)
    batch = prepared(fitness, IMAGES, jax.random.key(3))
    strategy = GeneticAlgorithm(16, mutation=Sparse(1))
    found, whole = errors_of_children(strategy, fitness, key, params, batch)
    np.testing.assert_allclose(found, whole, rtol=1e-5)
    of_genotype = encodings.decoded(fitness, encodings.RandomSubspace(20), params)
    jax.tree.map(
        np.testing.assert_array_equal, prepared(of_genotype, IMAGES, jax.random.key(3)), batch
    )
    stacked = evoae.Stacked(jax.tree.map(lambda leaf: leaf[None], params))
    settings = {"learning_rate": 1e-9, "clock": Clock(3), "observers": [blocks := Blocks()]}
    backprop.descend(key, fitness, IMAGES, stacked, **settings)
    errors = np.concatenate([progress.trace[:, 0] for progress in blocks.told])
    assert len(set(errors.tolist())) == 3


def test_means_and_variances_can_be_those_of_a_grown_graph(key):
    model = variational(
        evoae.Autoencoder([UnitGraph(2, 4)], [Dense(30, activation="sigmoid"), Reshape(1, 6, 5)])
    )
    params, fitness = initial(model), Reconstruction(model, "bce", kl_weight=1.0)
    encoding = encodings.Cellular(8)
    genotype = jax.jit(encoding.init)(key, params)
    batch = prepared(fitness, IMAGES, jax.random.key(3))
    assert batch.latent_noise.shape == (2, 10)
    found = jax.jit(encodings.decoded(fitness, encoding, params))(genotype, batch)
    decoded = jax.jit(encoding.decode)(genotype, params)
    expected = jax.jit(fitness)(decoded, batch)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    without = jax.jit(Reconstruction(model, "bce"))(decoded, IMAGES)
    assert found != without


def test_a_plain_error_of_the_mean_is_evaluated_by_changes_too(key):
    fitness, params = Reconstruction(MODEL, "mse"), initial(MODEL)
    strategy = GeneticAlgorithm(200, mutation=Sparse(1))
    assert fitness.follows_changes
    found, whole = errors_of_children(strategy, fitness, key, params, fitness.prepare(IMAGES))
    np.testing.assert_allclose(found, whole, rtol=1e-5)


def optimal_bound(images):
    """Of the linear toy: that of principal components (Tipping and Bishop 1999), by pixel.

    The encoder is linear and can give the exact posterior, so the bound at the optimum is the
    evidence: of W = U (eigenvalues - s^2)^(1/2) with the largest two, and c the mean.
    """
    x = images.reshape(len(images), -1).astype(np.float64)
    covariance = np.cov(x, rowvar=False, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    w = vectors[:, -LATENT:] * np.sqrt(values[-LATENT:] - VARIANCE)
    model = w @ w.T + VARIANCE * np.eye(SIDE * SIDE)
    log_det = np.linalg.slogdet(model / VARIANCE)[1]
    return VARIANCE * (log_det + np.trace(np.linalg.solve(model, covariance))) / SIDE**2


def test_evolution_and_adam_come_to_the_optimum(key):
    """The same bound of the same network, in means over noise that neither has seen."""
    fitness = Reconstruction(LINEAR, "mse", kl_weight=2 * VARIANCE)
    rng = np.random.default_rng(4)
    images = rng.normal(size=(30, LATENT)) @ rng.normal(size=(LATENT, SIDE * SIDE))
    images = (images + 0.3 * rng.normal(size=images.shape)).astype(np.float32)
    images = images.reshape(-1, SIDE, SIDE, 1)
    start = jax.tree.map(lambda leaf: 0.3 * leaf, random_weights(LINEAR, images))
    stacked = evoae.Stacked(jax.tree.map(lambda leaf: leaf[None], start))
    settings = {"learning_rate": 0.02, "clock": Clock(1_000)}
    by_adam = backprop.descend(key, fitness, images, stacked, **settings)
    strategy = evoae.strategies.ProbeEvolutionStrategy(
        32, learning_rate=0.05, elitist=False
    ).fitted_to(1_000)
    state = strategy.init(key, start)
    state, _ = evoae.evolve(key, strategy, fitness, images, state, num_generations=1_000)
    adam = trees.take(by_adam.params, 0)
    bounds = [mean_fitness(its, images, 2 * VARIANCE, 500) for its in (start, adam, state.best)]
    best = optimal_bound(images)
    assert bounds[0] > 1.5 * best
    assert bounds[1:] == pytest.approx([best, best], rel=0.04)


# Runs


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, images=IMAGES[..., 0])
    return RunConfig(
        preset="test",
        data=DataConfig(str(path)),
        model=ModelConfig("mlp", latent_size=2),
        error="bce",
        kl_weight=0.5,
        strategy=GeneticAlgorithm(8, mutation=Gaussian(0.1)),
        num_generations=4,
    )


def test_a_run_reports_the_bound_and_samples_and_is_resumed_to_the_same_bits(config, tmp_path):
    straight = train(dataclasses.replace(config, out=tmp_path / "a"), progress=False)
    short = dataclasses.replace(config, out=tmp_path / "b", num_generations=2)
    train(short, progress=False)
    resumed = resume(tmp_path / "b", num_generations=4, progress=False)
    jax.tree.map(np.testing.assert_array_equal, resumed.network, straight.network)
    np.testing.assert_array_equal(resumed.trace.best_fitness, straight.trace.best_fitness)

    result = json.loads((straight.folder / "result.json").read_text())
    parts = result["evidence"]
    whole = (parts["reconstruction"] + 0.5 * parts["divergence"]) / 30
    assert result["error"] == pytest.approx(whole, rel=1e-4)
    assert result["absolute_error"] is not None
    with np.load(straight.folder / "report.npz") as pictures:
        assert pictures["samples"].shape == (30, 6, 5, 1)
        assert pictures["latent"].shape == (10, 2)
    page = (straight.folder / "report.html").read_text()
    assert "drawn from N(0, 1), the prior" in page
    assert "Binary cross entropy per pixel + 0.5 x KL divergence" in page


def test_a_comparison_trains_the_same_network_by_adam(config, tmp_path):
    found = compare(dataclasses.replace(config, out=tmp_path / "both"), progress=False)
    errors = {row.name: row.error for row in found.rows}
    assert errors["Adam (best of 8)"] < errors["evolution"]


def test_it_is_a_setting(config):
    assert from_json(to_json(config)) == config
    assert parse_run(PRESETS["digits10"], ["--kl-weight", "2"]).kl_weight == 2.0
    assert PRESETS["vae"].kl_weight == 1.0
    assert parse_run(PRESETS["vae"], ["--kl-weight", "None"]).kl_weight is None
    assert PRESETS["digits10"].same_data
    assert not PRESETS["vae"].same_data


def test_what_does_not_fit_is_named(config, key):
    for value in (-1.0, "much", float("nan")):
        with pytest.raises(
            ValueError, match=rf"kl_weight must be None or .* from 0, got {value!r}"
        ):
            dataclasses.replace(config, kl_weight=value)
    with pytest.raises(ValueError, match=r"error must be one of single images .* got 'rmse'"):
        dataclasses.replace(config, error="rmse")
    plain = evoae.models.varadi2021()
    with pytest.raises(ValueError, match=r"kl_weight must be None for a model .* got 1\.0"):
        Reconstruction(plain, "bce", kl_weight=1.0)
    with pytest.raises(ValueError, match="model must have an encoder that ends in a Dense"):
        variational(MODEL)
    with pytest.raises(ValueError, match="GaussianLatent needs an even number of flat units"):
        GaussianLatent().output_shape((3,))
