"""Strict settings for all tests, and as little compiling as can be: it takes most of their time."""

import functools
import gc
import os
import tempfile

# Much of what XLA does for such small programs is to set up emitters of fusions and parts of code.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    " --xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    " --xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # one for all processes of these tests
    PROGRAMS = tempfile.TemporaryDirectory(prefix="evoae-programs-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = PROGRAMS.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import jax
import numpy as np
import pytest

import evoae
from evoae.models import named

gc.freeze()  # what was imported stays
gc.set_threshold(100_000, 50, 100)  # tracing makes many objects, few of them in cycles

jax.config.update("jax_numpy_rank_promotion", "raise")
# With 64 bits the numbers of NumPy in tests are not those of 32-bit states.
if not jax.config.jax_enable_x64:
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
def few_units():
    """Makes the model `mlp` one of eight hidden units, for tests that do not depend on how many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(named.MODELS, "mlp", functools.partial(named.mlp, hidden=(8,)))
        yield


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
