"""The document on new strategies: its skeleton runs, improves, and keeps to the rules."""

import importlib.util
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.mutations import Gaussian

DOCUMENT = Path(__file__).parents[2] / "docs" / "new_strategy.md"


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory):
    """The code block of the document as a module."""
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.M)
    path = tmp_path_factory.mktemp("skeleton") / "mean_of_the_best.py"
    path.write_text(blocks[0], "utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def error(params, limit):
    """The mean square; NaN where the first weight is below the limit."""
    value = jnp.square(params["weights"]).mean()
    return jnp.where(params["weights"][0] < limit, jnp.nan, value)


NO_LIMIT = jnp.float32(-jnp.inf)


def run(strategy, state, num_generations, limit=NO_LIMIT, **settings):
    return evoae.evolve(
        jax.random.key(1),
        strategy,
        error,
        limit,
        state,
        num_generations=num_generations,
        **settings,
    )


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_the_skeleton_improves_and_keeps_its_best(skeleton, key):
    strategy = skeleton.MeanOfTheBest(45, num_selected=10, mutation=Gaussian(0.05))
    first = strategy.init(key, {"weights": jnp.ones(5)})
    state, trace = run(strategy, first, 100)
    assert state.best_fitness < 0.01
    assert state.best_fitness == trace.best_fitness.min()
    np.testing.assert_allclose(error(state.best, NO_LIMIT), state.best_fitness, rtol=1e-6)

    half, _ = run(strategy, first, 40)
    same(run(strategy, half, 60)[0], state)  # resumed
    same(run(strategy, first, 100, chunk_size=5)[0], state)  # in chunks

    state, trace = run(strategy, first, 100, limit=jnp.float32(0.8))
    assert trace.num_invalid.sum() > 0
    assert state.best["weights"][0] >= 0.8
    assert jnp.isfinite(state.centre["weights"]).all()


def test_the_centre_is_the_mean_of_the_best_that_are_valid(skeleton, key):
    strategy = skeleton.MeanOfTheBest(4, num_selected=2, mutation=Gaussian(0.5))
    state = strategy.init(key, {"weights": jnp.ones(3)})
    population, state = jax.jit(strategy.ask)(key, state)
    candidates = population.dense(strategy)["weights"]
    np.testing.assert_array_equal(candidates[0], 1.0)
    tell = jax.jit(strategy.tell)
    for errors, chosen in (
        ([4.0, 1.0, 3.0, 2.0], [1, 3]),
        ([jnp.nan, jnp.nan, jnp.inf, 2.0], [3, 0]),
        ([jnp.nan] * 4, [0, 0]),
    ):
        after, _ = tell(key, population, jnp.array(errors), state)
        expected = np.mean(np.asarray(candidates)[chosen], 0)
        np.testing.assert_allclose(after.centre["weights"], expected, rtol=1e-6)


def test_the_skeleton_refuses_what_makes_no_population(skeleton):
    with pytest.raises(ValueError, match=r"num_selected must be below .* = 8, got 8"):
        skeleton.MeanOfTheBest(8, num_selected=8)


def test_the_document_names_the_methods_of_the_base_class():
    text = DOCUMENT.read_text("utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text, re.M)
    public = {name for name in vars(evoae.Strategy) if not name.startswith("_")}
    assert set(re.findall(r"`(\w+)", " ".join(rows))) == public
