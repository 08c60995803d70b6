"""Strict settings for all tests; XLA optimises little, since compiling takes most of their time."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import pytest

import evoae

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Frees compiled programs after each file: thousands exhaust a process's memory maps."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="module")
def compiled():
    """The names of the programs that XLA compiles."""
    names = []

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(str(details.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture
def compilations(compiled):
    """The names of the programs that XLA compiles during the test."""
    compiled.clear()
    return compiled


@pytest.fixture
def failing_after():
    """Makes an `evolve` of which the last error is infinite after so many generations."""

    def failing_after(generation):
        def failing(*arguments, **settings):
            state, trace = evoae.evolve(*arguments, **settings)
            if state.generation == generation:
                trace.best_fitness[-1] = np.inf
                raise evoae.InvalidFitnessError(state, trace)
            return state, trace

        return failing

    return failing_after
