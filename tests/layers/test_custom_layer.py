"""A layer of one's own, written as docs/contributing.md says."""

import dataclasses

import jax
import numpy as np
import pytest

import evoae
from evoae.layers import Change, Dense, Layer, Reshape
from tests.random_weights import random_images, random_weights


@dataclasses.dataclass(frozen=True)
class Halved(Layer):
    """A layer of one's own, with the least that it must have."""

    def output_shape(self, shape):
        return shape

    def pre_activation(self, weights, x):
        return 0.5 * x


@dataclasses.dataclass(frozen=True)
class HalvedToo(Halved):
    """The same, which can tell what it makes of a change."""

    follows_changes = True

    def input_change(self, weights, x, out, change, *, each):
        return Change(0.5 * change.values, change.start)


@pytest.mark.parametrize("layer", [Halved(), HalvedToo()], ids=str)
def test_a_layer_of_ones_own_is_evaluated_by_changes_if_it_follows_them(layer, key):
    model = evoae.Autoencoder([Dense(2)], [layer, Dense(9, activation="sigmoid"), Reshape(1, 3, 3)])
    assert model.follows_changes == layer.follows_changes
    images = random_images(4, 3, 3, 1)
    params = random_weights(model, images)
    fitness = evoae.fitness.Reconstruction(model)
    strategy = evoae.strategies.GeneticAlgorithm(9, mutation=evoae.mutations.Sparse(1))

    @jax.jit
    def both(key):
        population, _ = strategy.ask(key, strategy.init(key, params))
        batch = fitness.prepare(images)
        found = evoae.evaluate(strategy, fitness, population, batch)
        return found, jax.vmap(fitness, (0, None))(population.dense(strategy), batch)

    found, whole = both(key)
    np.testing.assert_allclose(found, whole, rtol=1e-5)


def test_a_layer_that_does_not_follow_changes_says_so():
    with pytest.raises(NotImplementedError, match="Halved does not follow changes"):
        Halved().input_change({}, None, None, None, each=False)
