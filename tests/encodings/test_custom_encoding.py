"""The document on new encodings: its skeleton runs, improves, and keeps to the rules."""

import importlib.util
import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.mutations import Gaussian
from tests.random_weights import random_images, random_weights

DOCUMENT = Path(__file__).parents[2] / "docs" / "new_encoding.md"


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory):
    """The code block of the document as a module."""
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.M)
    assert len(blocks) == 1
    path = tmp_path_factory.mktemp("skeleton") / "outer_products.py"
    path.write_text(blocks[0], "utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_skeleton_evolves_an_autoencoder(skeleton, key):
    model = evoae.models.mlp(2, hidden=(8,), image_shape=(6, 5, 1))
    images = random_images(4, 6, 5, 1)
    params = random_weights(model, images)
    encoding = skeleton.OuterProducts(rank=2)
    genotype = encoding.init(key, params)
    assert evoae.trees.size(genotype) < evoae.trees.size(params) / 1.5
    fitness = evoae.encodings.decoded(evoae.fitness.Reconstruction(model), encoding, params)
    strategy = evoae.strategies.GeneticAlgorithm(16, mutation=Gaussian(0.1))
    state, trace = evoae.evolve(
        *(key, strategy, fitness, images, strategy.init(key, genotype)), num_generations=100
    )
    assert state.best_fitness < 0.9 * trace.best_fitness[0]
    weights = encoding.decode(state.best, params)
    error = evoae.fitness.Reconstruction(model)(weights, images)
    np.testing.assert_allclose(error, state.best_fitness, rtol=1e-5)


def test_the_skeleton_decodes_outer_products(skeleton, key):
    like = {"kernel": jnp.zeros((3, 2, 4)), "scale": jnp.zeros(())}
    genotype = skeleton.OuterProducts(rank=2).init(key, like)
    a, b, c = genotype["kernel"]
    decoded = skeleton.OuterProducts(rank=2).decode(genotype, like)
    expected = sum(np.einsum("i,j,k->ijk", a[r], b[r], c[r]) for r in range(2))
    np.testing.assert_allclose(decoded["kernel"], expected, rtol=1e-5)
    assert decoded["scale"].shape == ()


def test_the_skeleton_refuses_what_makes_no_weights(skeleton):
    with pytest.raises(ValueError, match="rank must be a whole number from 1, got 0"):
        skeleton.OuterProducts(0)


def test_the_document_names_what_there_is():
    text = DOCUMENT.read_text("utf-8")
    for path in re.findall(r"`((?:docs|tests|evoae)/[\w/]+\.(?:py|md))`", text):
        if path != "evoae/encodings/my_encoding.py":
            assert (DOCUMENT.parents[1] / path).exists(), path
    methods = re.findall(r"`(\w+)\(genotype, like\)|^\| `(\w+)\(", text, re.M)
    public = {name for name in vars(evoae.encodings.Encoding) if not name.startswith("_")}
    assert {first or second for first, second in methods} == public
