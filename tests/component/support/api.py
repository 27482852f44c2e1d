"""The real handlers, called in this process with real API Gateway events."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from local.api.events import Request, to_event, to_response
from local.api.routing import Router
from local.template import read_template
from tests.support.answer import Answer
from tests.support.root import ROOT

__all__ = ["Api", "lambda_context"]


def lambda_context(function: str, left_ms: int = 29_000) -> Any:
    """Return the context of an invocation, with `left_ms` until Lambda ends it."""
    return SimpleNamespace(
        aws_request_id=str(uuid4()),
        function_name=function,
        memory_limit_in_mb=128,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:local",
        get_remaining_time_in_millis=lambda: left_ms,
    )


class Api:
    """The functions behind the routes of template.yaml, in this process."""

    def __init__(self, environment: dict[str, dict[str, str]], patch: pytest.MonkeyPatch) -> None:
        template = read_template(ROOT / "template.yaml")
        self._router = Router(template.routes)
        self._handlers: dict[str, Any] = {}
        self.authorizer: dict[str, Any] | None = None  # the caller's identity, as API Gateway passes it on
        for name in ("QueryFunction", "CommandFunction", "InvalidateFunction"):
            function = template.functions[name]
            for variable, value in {**function.environment, **environment[name]}.items():
                patch.setenv(variable, value)
            module, _, attribute = function.handler.rpartition(".")
            # Imported again, because a module reads its settings at import, as in a new sandbox.
            self._handlers[name] = getattr(importlib.reload(importlib.import_module(module)), attribute)

    def module(self, function: str) -> Any:
        """The module of a function's handler, with its drivers and its catalogue."""
        return sys.modules[self._handlers[function].__module__]

    def get(self, target: str, **headers: str) -> Answer:
        return self.call("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, target: str, body: object, media_type: str = "application/json", **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", target, data, {"content-type": media_type, **named})

    def call(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        match = self._router.match(method, target.partition("?")[0])
        assert match is not None
        event = to_event(Request(method, target, list((headers or {}).items()), body), match, 3000)
        if self.authorizer is not None:
            event["requestContext"]["authorizer"] = self.authorizer
        response = to_response(self._handlers[match.route.function](event, lambda_context(match.route.function)))
        return Answer(response.status, {name.lower(): value for name, value in response.headers}, response.body)
