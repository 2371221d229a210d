"""Leave most values of a test to the slow suite: a kind is tried in the fast one too."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def some_slow(values: Iterable[str], fast: Collection[str]) -> list[Any]:
    """Return the values to parametrize a test with; all but some are marked slow."""
    found = list(values)
    missing = {*fast} - {*found}
    assert not missing, missing
    return [
        value if value in fast else pytest.param(value, marks=pytest.mark.slow) for value in found
    ]
