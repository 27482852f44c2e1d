"""Events as API Gateway sends them, with hostile texts in each place, and events of any other form."""

from __future__ import annotations

import base64
import json
import re
from copy import deepcopy
from typing import Any, Final, NamedTuple

from proofs.fuzz import strategies as st
from proofs.fuzz.hostile import JSON_TEXTS, QUERY_STRINGS, TEXTS

__all__ = ["CASES", "FUNCTIONS", "Sent", "changed"]


class Sent(NamedTuple):
    """An event, and the function that gets it."""

    function: str
    event: Any


_NAMES: Final = ("every_type", "mine", "product", "top_products", "version", "set_price", "place_order", "missing", "")
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


_CLAIMS: Final = st.dictionaries(st.sampled_from(("sub", "client_id", "azp", "iss", "x")), TEXTS, max_size=3)
_AUTHORIZERS: Final = st.one_of(
    st.none(),
    st.builds(lambda claims: {"jwt": {"claims": claims, "scopes": None}}, _CLAIMS),
    st.builds(lambda arn, pool: {"iam": {"userArn": arn, "cognitoIdentity": {"identityId": pool}}}, TEXTS, TEXTS),
    st.builds(lambda arn: {"iam": {"userArn": arn, "cognitoIdentity": None}}, TEXTS),
)


def _event(
    sent: str | None,
    path: str,
    query_string: str,
    headers: dict[str, str],
    body: str | None,
    authorizer: dict[str, Any] | None,
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
            **({} if authorizer is None else {"authorizer": authorizer}),
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
    _AUTHORIZERS,
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
        ("requestContext", "authorizer"),
        ("requestContext", "authorizer", "jwt"),
        ("requestContext", "authorizer", "jwt", "claims"),
        ("requestContext", "authorizer", "iam"),
        ("requestContext", "authorizer", "iam", "userArn"),
        ("requestContext", "authorizer", "iam", "cognitoIdentity"),
        ("body",),
        ("isBase64Encoded",),
        ("cookies",),
        ("version",),
    )
)


def changed(event: dict[str, Any], changes: list[tuple[tuple[str, ...], Any, bool]]) -> dict[str, Any]:
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
    changed, _EVENTS, st.lists(st.tuples(_PLACES, _ANYTHING, st.booleans()), min_size=1, max_size=3)
)
FUNCTIONS: Final = {
    "QueryFunction": "query.app",
    "CommandFunction": "command.app",
    "InvalidateFunction": "invalidate.app",
}
_ANYWHERE: Final = st.builds(
    Sent, st.sampled_from(sorted(FUNCTIONS)), st.one_of(*[_EVENTS] * 6, *[_BROKEN] * 4, _ANYTHING)
)
CASES: Final = st.one_of(*[_EVENTS.map(lambda event: Sent(_function_of(event["rawPath"]), event))] * 3, _ANYWHERE)
