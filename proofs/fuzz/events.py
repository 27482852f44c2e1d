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
from copy import deepcopy
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from uuid import uuid4

from bench.functions_folder import functions_folder
from bench.servers import ROOT, running_servers
from local.template import read_template
from migrate import sample_data
from proofs.fuzz import strategies as st
from proofs.fuzz.hostile import JSON_TEXTS, QUERY_STRINGS, TEXTS
from proofs.fuzz.target import Target

__all__ = ["opened"]


class Sent(NamedTuple):
    """An event, and the function that gets it."""

    function: str
    event: Any


_EVERY_TYPE: Final = """-- summary = "Every type"
-- ttl = "60s"
-- tags = ["products", "orders:{id}"]
-- params.x = { type = "text", default = "", max_length = 5000 }
-- params.id = { type = "integer", default = 1 }
-- params.limit = { type = "number[]", default = [1] }
-- params.since = { type = "timestamp", required = false }
select %(x)s as x, %(id)s as id, %(limit)s as "limit", %(since)s as since
"""
_NAMES: Final = ("every_type", "product", "top_products", "version", "set_price", "place_order", "missing", "")
_PATHS: Final = (
    "/",
    "/queries",
    "/health",
    "/openapi.json",
    "/docs",
    "/invalidations",
    "/queries/{}",
    "/queries/{}/direct",
    "/commands/{}",
)
# None: the method that the path takes.
_METHODS: Final = st.sampled_from(
    (*[None] * 16, "GET", "POST", "HEAD", "get", "PUT", "OPTIONS", "TRACE", "\r\nGET", "", "PRI")
)
_ROUTE_NAMES: Final = st.one_of(st.sampled_from(_NAMES), st.sampled_from(_NAMES), TEXTS)
_RAW_PATHS: Final = st.one_of(
    *[st.builds(str.format, st.sampled_from(_PATHS), _ROUTE_NAMES)] * 3,
    TEXTS.map(lambda text: f"/{text}"),
    st.sampled_from(
        ("/queries%2fproduct", "/queries/../health", "//health", "/health/", "/health%00", "", "/queries/product\n")
    ),
)
_HEADER_NAMES: Final = st.sampled_from(
    (
        "content-type",
        "Content-Type",
        "accept-encoding",
        "if-match",
        "if-none-match",
        "idempotency-key",
        "content-encoding",
        "host",
        "x-forwarded-for",
        "cookie",
        "x-amzn-trace-id",
        "content-length",
        "origin",
    )
)
_HEADER_VALUES: Final = st.one_of(
    st.sampled_from(
        (
            "application/json",
            "application/json; charset=utf-8",
            "application/json,application/json",
            "gzip",
            "gzip;q=0.5, *;q=0",
            "*",
            '"a"',
            'W/"a", "b"',
            "identity",
            "a" * 256,
            '"a\\"b"',
            "text/plain",
        )
    ),
    TEXTS,
    st.builds(
        lambda word, times: word * times,
        st.sampled_from(('"a",', ",", "gzip;q=1,", "W/", "a;", '"', " ")),
        st.sampled_from((10, 3_000)),
    ),
)
_HEADERS: Final = st.dictionaries(_HEADER_NAMES, _HEADER_VALUES, max_size=4)
_BODIES: Final = st.one_of(
    JSON_TEXTS,
    st.builds(
        lambda number, price: f'{{"id": {number}, "price": {price}}}',
        *[st.sampled_from(("1", "42", "-1", "0", "1e999", "null", '"1"', "9" * 30, "1.5"))] * 2,
    ),
    st.builds(lambda tags: json.dumps({"tags": tags}), st.lists(TEXTS, max_size=3)),
    st.builds(lambda name, sent: f'{{"query": {json.dumps(name)}, "params": {sent}}}', _ROUTE_NAMES, JSON_TEXTS),
)


def _event(
    sent: str | None,
    path: str,
    query_string: str,
    headers: dict[str, str],
    body: str | None,
    encoded: bool,
    routed: bool,
) -> dict[str, Any]:
    """Return the event of API Gateway, whose route fits the path if `routed`."""
    method = sent if sent is not None else "GET" if _function_of(path) == "QueryFunction" else "POST"
    if method == "POST":
        headers = {"content-type": "application/json", **headers}
    if body is not None and encoded:
        body = base64.b64encode(body.encode(errors="surrogatepass")).decode()
    return {
        "version": "2.0",
        "routeKey": f"{method} {_route(path)}" if routed else "$default",
        "rawPath": path,
        "rawQueryString": query_string,
        "headers": headers,
        "requestContext": {
            "requestId": "JKJaXmPLvHcESHA=",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
        },
        **({} if body is None else {"body": body}),
        "isBase64Encoded": encoded and body is not None,
    }


def _function_of(path: str) -> str:
    prefixes = {"/commands/": "CommandFunction", "/invalidations": "InvalidateFunction"}
    return next((name for prefix, name in prefixes.items() if path.startswith(prefix)), "QueryFunction")


def _route(path: str) -> str:
    return re.sub(r"^/(queries|commands)/[^/]+(?=/direct$|$)", r"/\1/{name}", path)


_EVENTS: Final = st.builds(
    _event,
    _METHODS,
    _RAW_PATHS,
    st.one_of(st.just(""), QUERY_STRINGS),
    _HEADERS,
    st.one_of(st.none(), _BODIES, _BODIES),
    st.booleans(),
    st.booleans(),
)
_ANYTHING: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from((0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"))),
    TEXTS,
    st.just([]),
    st.just({}),
    st.just([{}]),
    st.just({"a": []}),
)
_PLACES: Final = st.sampled_from(
    (
        ("routeKey",),
        ("rawPath",),
        ("rawQueryString",),
        ("headers",),
        ("headers", "content-type"),
        ("headers", "if-match"),
        ("headers", "accept-encoding"),
        ("requestContext",),
        ("requestContext", "http"),
        ("requestContext", "http", "method"),
        ("requestContext", "requestId"),
        ("body",),
        ("isBase64Encoded",),
        ("cookies",),
        ("version",),
    )
)


def _changed(event: dict[str, Any], changes: list[tuple[tuple[str, ...], Any, bool]]) -> dict[str, Any]:
    """Return the event with something else in these places, or nothing."""
    for (*folders, name), value, is_removed in changes:
        inside: Any = event
        for folder in folders:
            inside = inside.get(folder) if isinstance(inside, dict) else None
        if isinstance(inside, dict):
            inside.pop(name, None)
            if not is_removed:
                inside[name] = deepcopy(value)  # the next change may be inside it, and other cases draw it too
    return event


_BROKEN: Final = st.builds(
    _changed, _EVENTS, st.lists(st.tuples(_PLACES, _ANYTHING, st.booleans()), min_size=1, max_size=3)
)
_FUNCTIONS: Final = {
    "QueryFunction": "query.app",
    "CommandFunction": "command.app",
    "InvalidateFunction": "invalidate.app",
}
_ANYWHERE: Final = st.builds(Sent, st.sampled_from(sorted(_FUNCTIONS)), st.one_of(_EVENTS, _EVENTS, _EVENTS, _BROKEN))
_CASES: Final = st.one_of(*[_EVENTS.map(lambda event: Sent(_function_of(event["rawPath"]), event))] * 3, _ANYWHERE)


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
        functions = functions_folder(servers.folder / "functions", {"every_type": _EVERY_TYPE})
        _load_shop(servers.postgres.url, functions)
        log = exits.enter_context(_log())
        handlers = _handlers(functions, servers.environment)
        yield Target("events", _CASES, lambda case: _check(case, handlers, log))


def _load_shop(url: str, functions: Any) -> None:
    from contextlib import closing

    import psycopg2

    with closing(psycopg2.connect(url)) as connection:
        sample_data.load(connection, functions / "catalogue", 100, lambda *_: None)


def _handlers(functions: Any, environment: Mapping[str, Mapping[str, str]]) -> Mapping[str, Callable[[Any, Any], Any]]:
    template = read_template(ROOT / "template.yaml").functions
    sys.path.insert(0, str(functions))
    handlers = {}
    for name, module in _FUNCTIONS.items():
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
