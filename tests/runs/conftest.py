"""What runs have in common here: `mlp` has eight hidden units, as no test depends on how many."""

import functools

import pytest

from evoae.models import named


@pytest.fixture(autouse=True, scope="module")
def few_units():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(named.MODELS, "mlp", functools.partial(named.mlp, hidden=(8,)))
        yield
