"""Whole events to the real handlers, with real servers behind them: a response that API Gateway takes, and no 5xx.

A problem says nothing about SQL, hosts, folders or code. Each line of the log is one JSON object. Most events have the
form of API Gateway with hostile texts in each place; others are any JSON.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Final
from uuid import uuid4

from bench.functions_folder import functions_folder
from bench.servers import ROOT, running_servers
from local.template import read_template
from migrate import sample_data
from proofs.fuzz.gateway_events import CASES, FUNCTIONS, Sent
from proofs.fuzz.target import Target

__all__ = ["opened"]


_EVERY_TYPE: Final = """-- summary = "Every type"
-- ttl = "60s"
-- tags = ["products", "orders:{id}"]
-- params.x = { type = "text", default = "", max_length = 5000 }
-- params.id = { type = "integer", default = 1 }
-- params.limit = { type = "number[]", default = [1] }
-- params.since = { type = "timestamp", required = false }
select %(x)s as x, %(id)s as id, %(limit)s as "limit", %(since)s as since
"""
# Its answer depends on who asks.
_MINE: Final = """-- summary = "Mine"
-- ttl = "60s"
-- tags = ["orders"]
-- params.user = { type = "text", source = "claim:sub" }
select %(user)s as who
"""

_LEAKS: Final = re.compile(
    r"Traceback|File \"|psycopg2|row_to_json|cacheaside\.\w+\(|cacheaside_(?:query|command)\b|127\.0\.0\.1|"
    r"RedisError|SQLSTATE|\.py\b"
)
_HEADER: Final = re.compile(r"[\t -~]*")
_FIELDS: Final = {"statusCode", "headers", "body", "isBase64Encoded"}


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target, with PostgreSQL, Valkey, and the handlers as three sandboxes import them."""
    with ExitStack() as exits:
        servers = exits.enter_context(running_servers(durable=False))
        functions = functions_folder(servers.folder / "functions", {"every_type": _EVERY_TYPE, "mine": _MINE})
        _load_shop(servers.postgres.url, functions)
        log = exits.enter_context(_log())
        handlers = _handlers(functions, servers.environment)
        yield Target("events", CASES, lambda case: _check(case, handlers, log))


def _load_shop(url: str, functions: Any) -> None:
    from contextlib import closing

    import psycopg2

    with closing(psycopg2.connect(url)) as connection:
        sample_data.load(connection, functions / "catalogue", 100, lambda *_: None)


def _handlers(functions: Any, environment: Mapping[str, Mapping[str, str]]) -> Mapping[str, Callable[[Any, Any], Any]]:
    template = read_template(ROOT / "template.yaml").functions
    sys.path.insert(0, str(functions))
    handlers = {}
    for name, module in FUNCTIONS.items():
        os.environ.update(
            {
                **template[name].environment,
                **environment[name],
                "INVALIDATION": "schedule",
                "POWERTOOLS_LOG_LEVEL": "INFO",
            }
        )
        handlers[name] = import_module(module).handler
    return handlers


@contextmanager
def _log() -> Iterator[io.StringIO]:
    """Collect what the functions print, and their log records as the runtime of Lambda writes them."""
    printed = io.StringIO()
    handler = logging.StreamHandler(printed)
    handler.setFormatter(SimpleNamespace(format=lambda record: json.dumps({"message": record.getMessage()})))  # type: ignore[arg-type]
    logging.getLogger().addHandler(handler)
    try:
        with redirect_stdout(printed):
            yield printed
    finally:
        logging.getLogger().removeHandler(handler)


def _check(case: Sent, handlers: Mapping[str, Callable[[Any, Any], Any]], log: io.StringIO) -> None:
    log.seek(0)
    log.truncate()
    context = SimpleNamespace(
        aws_request_id=str(uuid4()),
        function_name=case.function,
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
        get_remaining_time_in_millis=lambda: 29_000,
    )
    event = json.loads(json.dumps(case.event))  # as Lambda parses it
    response = handlers[case.function](event, context)
    for line in log.getvalue().splitlines():
        assert isinstance(json.loads(line), dict), f"not one JSON object: {line}"
    assert "\0" not in log.getvalue()
    if response is None:
        assert isinstance(event, dict), "an event of another form without a response"
        assert "routeKey" not in event, "an event of API Gateway without a response"
        return
    _check_response(response, context.aws_request_id)


def _check_response(response: Any, request_id: str) -> None:
    json.dumps(response, ensure_ascii=False).encode()
    assert response.keys() == _FIELDS
    status, headers, body = response["statusCode"], response["headers"], response["body"]
    assert type(status) is int
    assert 200 <= status < 500, f"{status}: {body}"
    for name, value in headers.items():
        assert re.fullmatch(r"[A-Za-z-]+", name), name
        assert _HEADER.fullmatch(value), value
    if response["isBase64Encoded"]:
        base64.b64decode(body, validate=True)
        return
    if "json" in headers.get("Content-Type", ""):
        document = json.loads(body)
        if status >= 400:
            assert document["status"] == status
            assert document["instance"] == f"urn:uuid:{request_id}"
            assert not _LEAKS.search(body), body
            assert len(body) < 10_000, f"{len(body)} bytes of a problem"
