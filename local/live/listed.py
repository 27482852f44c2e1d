"""The queries of a running API, as GET /queries lists them."""

from __future__ import annotations

import http.client
import json

from local.errors import LocalError
from local.examples import Query
from local.live.http import send
from local.live.target import Target

__all__ = ["queries_of"]


def queries_of(api: Target) -> tuple[dict[str, Query], dict[str, str]]:
    """Return the queries of the API by name, and the place and the error of each wrong file. Raises `LocalError`."""
    try:
        response = send("GET", f"{api.url}/queries", api.authorize)
    except (OSError, http.client.HTTPException) as error:
        raise LocalError(f"{api.url} does not answer ({error}): is it running?") from None
    if response.status != 200:
        raise LocalError(f"GET {api.url}/queries: {response}")
    document = json.loads(response.body)
    errors = {
        each["place"].rpartition(":")[0]: f"{each['place']}: {each['detail']}" for each in document.get("errors", [])
    }
    return {query["name"]: query for query in document["data"]}, errors
