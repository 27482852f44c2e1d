"""The queries of the API under test, and how to ask them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from local import examples as local_examples
from local.errors import LocalError
from local.examples import Query, path_of

__all__ = ["Query", "examples", "target"]


def examples(query: Query) -> dict[str, Any]:
    """Return a value for each required parameter. The others have defaults. Without an example, the test is skipped."""
    try:
        return local_examples.examples(query)
    except LocalError as error:
        pytest.skip(str(error))


def target(query: Query, values: Mapping[str, Any] | None = None) -> str:
    """Return path and query string, by default with the examples."""
    return path_of(query["name"], examples(query) if values is None else values)
