"""Flags of JAX that a user may have switched on."""

import jax
import pytest

FLAGS = {
    "jax_enable_x64": True,
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_threefry_partitionable": False,
    "jax_default_matmul_precision": "bfloat16",
    "jax_default_prng_impl": "rbg",
}


@pytest.fixture(params=FLAGS)
def flag(request):
    """The name of a flag that is set during the test: each of them in turn."""
    name = request.param
    before = {which: getattr(jax.config, which) for which in (name, "jax_numpy_dtype_promotion")}
    jax.config.update(name, FLAGS[name])
    if name == "jax_enable_x64":
        jax.config.update("jax_numpy_dtype_promotion", "standard")
    yield name
    for which, value in before.items():
        jax.config.update(which, value)
