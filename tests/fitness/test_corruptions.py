"""Corrupted inputs: what they are, who shares them, and what is learnt from them."""

import csv
import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import encodings
from evoae.cli.options import parse_run
from evoae.fitness import Reconstruction
from evoae.fitness.batches import prepared
from evoae.fitness.corruptions import GaussianNoise, MaskingNoise, SaltAndPepperNoise
from evoae.models.compiled import applied
from evoae.report import draw_gallery
from evoae.runs import Clock, backprop, compare, task, train
from evoae.runs import measuring as judging
from evoae.runs.config import PRESETS, DataConfig, ModelConfig, RunConfig, from_json, to_json
from evoae.runs.measuring import measure_by_level
from evoae.strategies import GeneticAlgorithm
from tests.blocks import Blocks
from tests.numpy_reference import FORMULAS
from tests.random_weights import random_images, random_weights

pytestmark = pytest.mark.usefixtures("few_units")

LOW, HIGH = 0.1, 0.9
MODEL = evoae.models.mlp(2, hidden=(8,), image_shape=(6, 5, 1))
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 1), np.uint8)


@functools.partial(jax.jit, static_argnums=0)
def error_of(fitness, params, batch):
    return fitness(params, batch)


@functools.partial(jax.jit, static_argnums=0)
def spoil(noise, images):
    return noise.apply(jax.random.key(1), images, LOW, HIGH)


@pytest.fixture
def pixels():
    return LOW + (HIGH - LOW) * np.asarray(random_images(50, 20, 20, 1))


@pytest.fixture
def params():
    return random_weights(MODEL, jnp.zeros((1, 6, 5, 1)))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, images=IMAGES[..., 0])
    return RunConfig(
        preset="test",
        data=DataConfig(str(path)),
        model=ModelConfig("mlp", latent_size=2),
        corruption=MaskingNoise(0.4),
        strategy=GeneticAlgorithm(8, mutation=evoae.mutations.Gaussian(0.1)),
        num_generations=4,
    )


def test_gaussian_noise_has_its_level_in_units_of_the_range(pixels):
    noise = np.asarray(spoil(GaussianNoise(0.3), pixels)) - pixels
    assert noise.std() == pytest.approx(0.3 * (HIGH - LOW), rel=0.03)
    assert abs(noise.mean()) < 0.01


def test_masks_hit_their_part_of_the_pixels(pixels):
    masked = np.asarray(spoil(MaskingNoise(0.4), pixels))
    hit = masked != pixels
    assert hit.mean() == pytest.approx(0.4, abs=0.02)
    assert np.all(masked[hit] == np.float32(LOW))
    spoiled = np.asarray(spoil(SaltAndPepperNoise(0.4), pixels))
    hit = spoiled != pixels
    assert hit.mean() == pytest.approx(0.4, abs=0.02)
    assert set(spoiled[hit].tolist()) == {float(np.float32(LOW)), float(np.float32(HIGH))}
    assert (spoiled[hit] == np.float32(HIGH)).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("noise", [MaskingNoise(0.4), SaltAndPepperNoise(0.4)], ids=str)
def test_colour_images_are_spoiled_by_whole_pixels(noise, pixels):
    """Those that are hit in grey images; all channels of a pixel are black, or white, or kept."""
    colours = np.random.default_rng(3).uniform(LOW, HIGH, (*pixels.shape[:-1], 3))
    spoiled = np.asarray(spoil(noise, np.float32(colours)))
    hit = spoiled != np.float32(colours)
    assert np.array_equal(hit.all(-1), hit.any(-1))
    assert np.all(np.ptp(spoiled[hit.all(-1)], axis=-1) == 0)
    grey = np.asarray(spoil(noise, pixels)) != pixels
    np.testing.assert_array_equal(hit.all(-1), grey[..., 0])


@pytest.mark.parametrize("noise", [GaussianNoise, MaskingNoise, SaltAndPepperNoise])
def test_no_noise_changes_nothing_and_a_wrong_level_is_named(noise, pixels):
    same = spoil(noise(0), pixels)
    np.testing.assert_array_equal(same, pixels)
    for level in (-0.1, float("nan"), "0.3", *([] if noise is GaussianNoise else [1.1])):
        with pytest.raises(ValueError, match=rf"{noise.__name__}: level must be .* got {level!r}"):
            noise(level)


class Plain(nn.Module):
    """A model that is not of evoae's layers."""

    @nn.compact
    def __call__(self, images):
        flat = images.reshape(len(images), -1)
        return nn.Dense(flat.shape[1])(nn.tanh(nn.Dense(3)(flat))).reshape(images.shape)


@pytest.mark.parametrize("error", ["mse", "logit_huber"])
@pytest.mark.parametrize("model", [MODEL, Plain()], ids=["layers", "flax"])
def test_the_target_is_clean_and_the_input_is_not(model, error):
    noise = MaskingNoise(0.5)
    fitness = Reconstruction(model, error, low=LOW, high=HIGH, corruption=noise)
    clean = evoae.data.scale(IMAGES, LOW, HIGH)
    params = random_weights(model, clean)
    noisy = jax.jit(fitness.corrupted)(jax.random.key(5), IMAGES)
    assert np.mean(np.abs(noisy - clean) > 1e-6) == pytest.approx(0.5, abs=0.1)
    batch = fitness.prepare(IMAGES, jax.random.key(5))
    output = np.asarray(applied(model, params, noisy))
    value = FORMULAS[error](np.float64(output), np.float64(clean))
    np.testing.assert_allclose(error_of(fitness, params, batch), value, rtol=1e-4)
    of_clean = FORMULAS[error](np.float64(applied(model, params, clean)), np.float64(clean))
    without_a_key = error_of(fitness, params, IMAGES)
    np.testing.assert_allclose(without_a_key, of_clean, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [None, 4])
def test_candidates_of_a_generation_share_their_noise_and_generations_do_not(
    batch_size, key, params
):
    fitness = Reconstruction(MODEL, corruption=GaussianNoise(0.5))
    # Children that are their parent: whatever differs is the batch.
    still = evoae.mutations.Gaussian(1e-30)
    strategy = GeneticAlgorithm(8, mutation=still)
    state = strategy.init(key, params)
    run = functools.partial(evoae.evolve, key, strategy, fitness, IMAGES, batch_size=batch_size)
    found = []
    for _ in range(2):
        state, one = run(state, num_generations=1)
        found.append(one.best_fitness[0])
        np.testing.assert_allclose(one.mean_fitness, one.best_fitness, rtol=1e-6)
    assert found[0] != found[1]
    _, trace = run(strategy.init(key, params), num_generations=2)
    np.testing.assert_allclose(trace.best_fitness, found, rtol=1e-6)


def test_single_changes_see_the_noise_too(key, params):
    fitness = Reconstruction(MODEL, corruption=GaussianNoise(0.5))
    strategy = GeneticAlgorithm(16, mutation=evoae.mutations.Sparse(1))
    batch = prepared(fitness, IMAGES, jax.random.key(3))

    @jax.jit
    def both(key, params, batch):
        population, _ = strategy.ask(key, strategy.init(key, params))
        quick = evoae.evaluate(strategy, fitness, population, batch)
        return quick, jax.vmap(fitness, (0, None))(population.dense(strategy), batch)

    quick, whole = both(key, params, batch)
    np.testing.assert_allclose(quick, whole, rtol=1e-5)


def test_fresh_noise_is_not_evaluated_from_the_activations_of_old_noise(key, params):
    fitness = Reconstruction(MODEL, corruption=GaussianNoise(0.5))
    strategy = GeneticAlgorithm(16, mutation=evoae.mutations.Sparse(1, scale=1e-6))
    start = strategy.init(key, params)
    run = functools.partial(evoae.evolve, key, strategy, fitness, IMAGES)
    _, trace = run(start, num_generations=4)
    state, expected = start, []
    for _ in range(4):  # each call has no activations to begin with
        state, one = run(state, num_generations=1)
        expected.append(one.best_fitness[0])
    np.testing.assert_allclose(trace.best_fitness, expected, rtol=1e-5)
    assert len(set(trace.best_fitness.tolist())) == 4


def test_genes_and_gradients_get_the_noise_as_well(key, params):
    fitness = Reconstruction(MODEL, corruption=GaussianNoise(0.5))
    encoding = encodings.RandomSubspace(20)
    of_genotype = encodings.decoded(fitness, encoding, params)
    batches = [prepared(each, IMAGES, jax.random.key(3)) for each in (fitness, of_genotype)]
    jax.tree.map(np.testing.assert_array_equal, *batches)
    stacked = evoae.Stacked(jax.tree.map(lambda leaf: leaf[None], params))
    state, step = backprop.init(stacked, 1e-9), jax.jit(backprop.step, static_argnums=1)
    errors = []
    for _ in range(2):
        state, error = step(key, fitness, IMAGES, state, jnp.float32(1))
        errors.append(float(error[0]))
    assert errors[0] != errors[1]
    settings = {"learning_rate": 1e-9, "clock": Clock(2), "observers": [blocks := Blocks()]}
    backprop.descend(key, fitness, IMAGES, stacked, **settings)
    seen = np.concatenate([progress.trace[:, 0] for progress in blocks.told])
    np.testing.assert_allclose(seen, errors, rtol=1e-5)


def test_errors_at_other_levels_stand_beside_no_network(params):
    fitness = Reconstruction(MODEL, "mae", corruption=MaskingNoise(0.4))
    columns = measure_by_level(fitness, {"evolved": params}, IMAGES)
    assert columns["level"] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    clean = evoae.data.scale(IMAGES, 0.0, 1.0)
    np.testing.assert_allclose(columns["evolved"][0], error_of(fitness, params, clean), rtol=1e-6)
    assert columns["no network"][0] < 1e-7
    assert np.all(np.diff(columns["no network"]) > 0)
    np.testing.assert_allclose(columns["no network"][2], 0.4 * IMAGES.mean() / 255, rtol=0.15)


def test_a_run_shows_what_it_was_given(config, tmp_path):
    result = train(dataclasses.replace(config, out=tmp_path / "run"), progress=False)
    begun = task.prepare(config)
    assert result.error == pytest.approx(
        float(
            begun.fitness(
                result.network, prepared(begun.fitness, begun.images, judging._judging_key(0))
            )
        ),
        rel=1e-5,
    )
    assert result.baselines["noisy image"] > 0
    with open(tmp_path / "run" / "denoising.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["level"]) for row in rows] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert float(rows[2]["evolved"]) == pytest.approx(result.error, rel=1e-5)
    assert float(rows[2]["no network"]) == pytest.approx(result.baselines["noisy image"])


def test_a_comparison_has_adam_at_all_levels(config, tmp_path):
    found = compare(dataclasses.replace(config, out=tmp_path / "both"), progress=False)
    assert "noisy image" in [row.name for row in found.rows]
    header = (found.folder / "denoising.csv").read_text().splitlines()[0]
    assert header == "level,evolution,Adam (best of 8),no network"


def test_a_gallery_has_rows_of_noisy_reconstructed_and_clean_images():
    clean, black = np.ones((2, 4, 4, 1)), np.zeros((2, 4, 4, 1))
    picture = np.asarray(draw_gallery(clean, clean / 2, inputs=black, scale=1))
    two = np.asarray(draw_gallery(clean, clean / 2, scale=1))
    assert picture.shape[0] == two.shape[0] + 6
    column = picture[:, -9]  # through the last image of each row
    assert [int(column[8 + 6 * row]) for row in range(3)] == [0, 128, 255]
    with pytest.raises(ValueError, match=r"inputs must have the shape of targets"):
        draw_gallery(clean, clean, inputs=black[:1])


def test_noise_is_a_setting(config):
    assert from_json(to_json(config)) == config
    words = ["--corruption.kind", "SaltAndPepperNoise", "--corruption.level", "0.2"]
    assert parse_run(PRESETS["digits10"], words).corruption == SaltAndPepperNoise(0.2)
    assert parse_run(PRESETS["denoise"], ["--corruption.kind", "None"]).corruption is None
    assert PRESETS["digits10"].corruption is None
    with pytest.raises(ValueError, match=r"corruption must be None or one of .*, got 0\.3"):
        dataclasses.replace(config, corruption=0.3)
    with pytest.raises(ValueError, match=r"corruption must be None or one of .*, got 0\.3"):
        Reconstruction(MODEL, corruption=0.3)
