"""Random batches without replacement."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from evoae.data import Dataset, minibatch


@pytest.mark.parametrize(
    ("num_rows", "batch_size"), [(60_000, 128), (60_000, 15_000), (60_000, 15_001), (5, 1), (5, 4)]
)
def test_rows_differ_and_leaves_stay_together(num_rows, batch_size):
    images = jnp.arange(2 * num_rows, dtype=jnp.int32).reshape(num_rows, 2)
    labels = np.arange(num_rows, dtype=np.int32)
    batch = jax.jit(minibatch, static_argnums=2)(jax.random.key(1), (images, labels), batch_size)
    assert batch[0].shape == (batch_size, 2)
    rows = np.asarray(batch[1])
    assert len(set(rows.tolist())) == batch_size
    np.testing.assert_array_equal(batch[0], np.stack([2 * rows, 2 * rows + 1], axis=1))


@pytest.mark.parametrize(("num_rows", "batch_size"), [(8, 2), (5, 3)])
def test_every_set_of_rows_is_equally_likely(num_rows, batch_size):
    keys = jax.random.split(jax.random.key(2), 8_400)
    rows = jnp.arange(num_rows)
    batches = jax.jit(jax.vmap(lambda key: minibatch(key, rows, batch_size)))(keys)
    drawn = [tuple(sorted(batch)) for batch in np.asarray(batches).tolist()]
    subsets = list(itertools.combinations(range(num_rows), batch_size))
    assert set(drawn) <= set(subsets)
    # The number that a set comes up is binomial; chi squared compares all of them at once.
    assert stats.chisquare([drawn.count(subset) for subset in subsets]).pvalue > 0.001


def test_the_key_alone_decides():
    rows = jnp.arange(1_000)
    first, again, other = (minibatch(jax.random.key(seed), rows, 50) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert set(first.tolist()) != set(other.tolist())


def test_it_runs_in_a_scan_as_outside():
    rows = jnp.arange(1_000)
    keys = jax.random.split(jax.random.key(5), 4)
    scanned = jax.lax.scan(lambda carry, key: (carry, minibatch(key, rows, 50)), None, keys)[1]
    np.testing.assert_array_equal(scanned, [minibatch(key, rows, 50) for key in keys])


def test_the_whole_is_returned_unchanged():
    data = {"images": np.zeros((7, 2))}
    assert minibatch(jax.random.key(0), data, None) is data
    assert minibatch(jax.random.key(0), data, 7) is data


@pytest.mark.parametrize(
    ("data", "batch_size", "words"),
    [
        (np.zeros(7), 0, "batch_size must be from 1 to 7"),
        (np.zeros(7), 8, "batch_size must be from 1 to 7"),
        (np.zeros(7), 2.0, "batch_size must be an integer"),
        (np.zeros(7), True, "batch_size must be an integer"),
        ((np.zeros(7), np.zeros(6)), 2, "data must be arrays with one equal leading size"),
        (np.float32(1), 1, "data must be arrays with one equal leading size"),
        ((), 1, "data must be arrays with one equal leading size"),
        (Dataset(np.zeros((7, 2)), None, "a name"), 2, "data must be arrays"),
    ],
)
def test_wrong_arguments(data, batch_size, words):
    with pytest.raises(ValueError, match=words):
        minibatch(jax.random.key(0), data, batch_size)
