"""Images of any size, grey or in colour, from the choice of a model to the pictures."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import evoae
from evoae.cli.entry_point import main
from evoae.runs import PRESETS, ModelConfig, RunConfig


def colour_images(number, side, seed=0):
    """Slopes of two colours, and a disc of a third before each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / (side - 1)
    images = []
    for _ in range(number):
        first, second, third = rng.uniform(0, 1, (3, 3))
        angle, (left, top) = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.75, 2)
        part = 0.5 + 0.5 * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
        image = first + part[..., None] * (second - first)
        image[np.hypot(x - left, y - top) < 0.25] = third
        images.append(image)
    return np.round(255 * np.stack(images)).astype(np.uint8)


@pytest.fixture(scope="module")
def images():
    return colour_images(6, 9)


@pytest.fixture(scope="module")
def colour(images, tmp_path_factory):
    """A run on colour images of odd sides, with a map of its latent."""
    config = RunConfig(
        model=ModelConfig("conv", latent_size=2, channels=(3, 4)),
        strategy=evoae.strategies.GeneticAlgorithm(4),
        corruption=evoae.fitness.SaltAndPepperNoise(0.2),
        num_generations=2,
        out=tmp_path_factory.mktemp("runs") / "run",
    )
    return evoae.train(config, images=images, labels=np.arange(6), progress=False)


def test_pictures_and_page_are_in_colour(colour, images):
    for name in ("gallery.png", "evolution.gif"):
        with Image.open(colour.folder / name) as picture:
            pixels = np.asarray(picture.convert("RGB"), int)
        assert np.ptp(pixels, axis=-1).max() > 30, name
    with np.load(colour.folder / "report.npz") as pictures:
        np.testing.assert_array_equal(pictures["targets"], images)
        assert pictures["frames"].shape[1:] == images.shape
        assert pictures["backdrop"].shape == (15 * 9, 15 * 9, 3)
        first = evoae.load_run(colour.folder)
        latents = first.encode(images)
        np.testing.assert_allclose(pictures["latent"], latents, atol=1e-6)
    assert 'class="pixels backdrop colour"' in (colour.folder / "report.html").read_text()


def test_baselines_are_those_of_all_channels(colour, images):
    pixels = images / 255
    expected = {
        "black image": np.square(pixels).mean(),
        "mean image": np.square(pixels - pixels.mean(0)).mean(),
        "median image": np.square(pixels - np.median(pixels, 0)).mean(),
    }
    for name, error in expected.items():
        assert colour.baselines[name] == pytest.approx(error, rel=1e-5)
    centred = (pixels - pixels.mean(0)).reshape(6, -1)
    kept = np.linalg.svd(centred, full_matrices=False)[1][2:]
    found = evoae.fitness.compute_pca_error(pixels, 2, error="mse")
    assert found == pytest.approx(np.square(kept).sum() / pixels.size, rel=1e-5)


def test_the_model_that_suits_is_named_first_and_kept(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", images=images)
    words = ["--data.source", "images.npz", "--num-generations", "1", "--out", "run"]
    small = ["--strategy.kind", "GeneticAlgorithm", "--strategy.population-size", "4"]
    assert main(["train", *small, *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("data         images.npz: 6 images of 9x9")
    assert lines[2].startswith("model        conv of 8 channels, 4 latent values: ")
    model = evoae.load_run("run").config.model
    assert model == ModelConfig("conv", latent_size=4, channels=(8,))
    words[-1] = "other"
    given = ["--model.name", "conv", "--model.channels", "2", "3", "2", "--model.latent-size", "1"]
    assert main(["train", *small, *words, *given]) == 0
    assert "model        conv of 2, 3 and 2 channels, 1 latent values: " in capsys.readouterr().out


# That of the mean image is the bound of a decoder that draws it whatever the latent is.
@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_learns_images_of_cifars_shape(name, tmp_path):
    images = colour_images(12, 32)
    if name == "paper-one":
        images = images[:1]
    config = dataclasses.replace(PRESETS[name].fitted_to(1_000), model=ModelConfig())
    if config.batch_size:
        config = dataclasses.replace(config, batch_size=6)
    result = evoae.train(config, images=images, out=tmp_path / "run", progress=False)
    assert result.error < min(result.baselines.values()), result.baselines
