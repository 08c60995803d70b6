"""Parents are drawn with the probabilities of the literature."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import evoae
from evoae.mutations import Gaussian
from evoae.strategies import GeneticAlgorithm, LinearRank, Tournament, Truncation

COUNT = 3000


@functools.partial(jax.jit, static_argnums=(0, 1))
def parents_of(selection, num_elites, hyper):
    """How a genetic algorithm draws the parents of COUNT children."""
    strategy = GeneticAlgorithm(
        COUNT + num_elites, num_elites, mutation=Gaussian(0.1), selection=selection
    )
    state = strategy.init(jax.random.key(0), {"weights": jnp.ones(2)}, {"selection": hyper})
    population, _ = strategy.ask(jax.random.key(1), state)
    return population.parent_ids


def by_rank(num_elites):
    """Rank from 0 to 1 of every elite, the best first."""
    return np.arange(num_elites) / max(num_elites - 1, 1)


@pytest.mark.parametrize(
    ("selection", "hyper", "chances"),
    [
        (Truncation(), {}, np.full(5, 0.2)),
        (Tournament(1), {}, np.full(5, 0.2)),
        (Tournament(3), {}, -np.diff((1 - np.arange(6) / 5) ** 3)),
        (LinearRank(1.0), {}, np.full(5, 0.2)),
        (LinearRank(1.6), {}, (1.6 - 1.2 * by_rank(5)) / 5),
        (LinearRank(1.0), {"pressure": 1.9}, (1.9 - 1.8 * by_rank(5)) / 5),
        (LinearRank(1.7), {}, np.ones(1)),
        (Tournament(3), {}, np.ones(1)),
    ],
)
def test_elites_become_parents_as_often_as_they_should(selection, hyper, chances):
    num_elites = len(chances)
    parent = np.asarray(parents_of(selection, num_elites, hyper))
    np.testing.assert_array_equal(parent[:, 0], parent[:, 1])
    np.testing.assert_array_equal(parent[:num_elites, 0], np.arange(num_elites))  # copies
    counts = np.bincount(parent[num_elites:, 0], minlength=num_elites)
    if num_elites > 1:
        assert scipy.stats.chisquare(counts, COUNT * chances).pvalue > 0.01


def test_the_worst_is_never_chosen_at_the_highest_pressure():
    parent = np.asarray(parents_of(LinearRank(2.0), 2, {}))
    assert np.all(parent[2:] == 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tournament(0), "Tournament: size must be a whole number from 1, got 0"),
        (lambda: Tournament(2.0), "Tournament: size must be a whole number from 1, got 2.0"),
        (
            lambda: LinearRank(2.5),
            "LinearRank: pressure must be a finite number from 1 to 2, got 2.5",
        ),
        (
            lambda: LinearRank(0.5),
            "LinearRank: pressure must be a finite number from 1 to 2, got 0.5",
        ),
        (
            lambda: GeneticAlgorithm(8, selection="best"),
            "GeneticAlgorithm: selection must be .* got 'best'",
        ),
    ],
)
def test_errors_say_what_came_and_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_float_is_named():
    strategy = GeneticAlgorithm(8, selection=LinearRank(1.5))
    with pytest.raises(ValueError, match=r"hyper\['selection'\] has no 'size'; it has pressure"):
        strategy.init(jax.random.key(0), {"weights": jnp.ones(2)}, {"selection": {"size": 2}})
    assert "selection" in evoae.trees.hyperparameters(strategy)
