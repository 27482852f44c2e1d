"""Queries that the catalogue of the tests does not have."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside.catalogue.parameters import Parameter


@pytest.fixture
def echo(api: Any) -> Any:
    """The API with a query that answers its text, optional parameter `q`."""
    queries = api.module("QueryFunction").catalogue.queries
    q = Parameter(name="q", type="text", required=False)
    queries["echo"] = queries["version"]._replace(name="echo", sql="select %(q)s::text as q", parameters={"q": q})
    return api
