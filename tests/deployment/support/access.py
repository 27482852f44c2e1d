"""Each route of a deployed API, asked by each caller: those who may get their answer, all others are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping

from local.live.http import Authorize, send, unsigned
from local.live.target import bearer
from tests.deployment.support.deployed import Deployed
from tests.support.route_access import ROWS, Row, asked_by

__all__ = ["check_access"]

# The emulator answers these before it looks for a route: see REPLACED in local/deployment/lacks.py.
_NOT_ROUTED = {"OPTIONS /{proxy+}"}


def check_access(deployed: Deployed, refused_tokens: Mapping[str, str]) -> int:
    """Check each route with each caller of the stack, and return how many requests were sent."""
    gateway, outputs = deployed.stack.emulator.client("apigatewayv2"), deployed.stack.outputs()
    routes = {each["RouteKey"] for each in gateway.get_routes(ApiId=outputs["ApiId"])["Items"]}
    assert routes == ROWS.keys()
    url, sent = outputs["ApiUrl"], 0
    for route in sorted(routes - _NOT_ROUTED):
        row = ROWS[route]
        if route.endswith("/direct") and deployed.stack.choices.get("DeveloperMode") != "on":
            row = row._replace(status=404)
        asked = asked_by(row.guard, deployed.stack.choices)
        strangers = {"without credentials": unsigned}
        if asked == "jwt":
            strangers |= {f"with a token {what}": bearer(token) for what, token in refused_tokens.items()}
        for who, authorize in strangers.items():
            expected = {"open": row.status, "iam": 403, "jwt": 401}[asked]
            assert (route, who, _status(url, row, authorize)) == (route, who, expected)
        assert (route, _status(url, row, deployed.authorize)) == (route, row.status)
        sent += len(strangers) + 1
    return sent


def _status(url: str, row: Row, authorize: Authorize) -> int:
    body = b"" if row.body is None else json.dumps(row.body).encode()
    headers = {"content-type": "application/json"} if body else {}
    return send(row.method, url + row.path, authorize, body=body, headers=headers).status
