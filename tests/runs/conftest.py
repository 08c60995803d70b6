"""What runs have in common here: networks of few units."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def of_few_units(few_units):
    """See `few_units`."""
