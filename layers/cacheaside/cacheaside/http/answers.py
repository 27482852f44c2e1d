"""The response to a query: the body as it was stored, and headers with its source and its age.

Cache-Status    RFC 9211      Age, ETag, Vary    RFC 9110, 9111
Cache-Control   RFC 5861      Server-Timing      W3C Server Timing
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import NotFound
from cacheaside.http.documents import JSON
from cacheaside.http.encoding import accepts_gzip
from cacheaside.http.messages import Response
from cacheaside.reading.entry import Encoding, unpack
from cacheaside.reading.outcome import Outcome, Source
from cacheaside.reading.reader import Answer

__all__ = ["answer_headers", "respond"]


def respond(query: Query, answer: Answer, request_headers: Mapping[str, str]) -> Response:
    """Return 200 with the body, encoded as the caller accepts it. Raises NotFound, with its headers, without a row."""
    entry = answer.outcome.entry
    headers = answer_headers(query, answer)
    if entry.body is None:
        raise NotFound(f"{query.name} has no row for these parameters", headers)
    headers["Content-Type"] = JSON
    # A strong entity tag identifies the exact bytes, so each encoding has its own (RFC 9110 section 8.8.3.3).
    if entry.encoding is Encoding.IDENTITY or not accepts_gzip(request_headers.get("accept-encoding", "")):
        headers["ETag"] = f'"{entry.etag.hex()}"'
        return Response(200, headers, unpack(entry.encoding, entry.body).decode())
    headers["ETag"] = f'"{entry.etag.hex()}-gzip"'
    headers["Content-Encoding"] = "gzip"
    return Response(200, headers, b64encode(entry.body).decode(), is_base64=True)


def answer_headers(query: Query, answer: Answer) -> dict[str, str]:
    """Return the headers of every answer to a query, with or without a row."""
    entry, at_ms = answer.outcome.entry, answer.at_ms
    is_direct = answer.outcome.source is Source.DIRECT  # no cache has held it, and none shall
    age_s = 0 if is_direct else entry.age_ms(at_ms) // 1000
    return {
        "Cache-Status": _cache_status(answer.outcome, at_ms),
        "Age": str(age_s),
        # Also on an answer that is not compressed: a later answer to the same request may be compressed.
        # A browser whose user signs in as another one sends the same request with another token.
        "Vary": "Accept-Encoding, Authorization" if query.claims else "Accept-Encoding",
        "Cache-Control": "no-store" if is_direct else _cache_control(query, age_s, entry.ttl_ms(at_ms)),
        "Server-Timing": _server_timing(answer),
    }


def _cache_status(outcome: Outcome, at_ms: int) -> str:
    status = f"cacheaside; {outcome.source.status}"
    if outcome.stored:
        status += "; stored"
    if outcome.stored or outcome.source.is_hit:
        status += f"; ttl={outcome.entry.ttl_ms(at_ms) // 1000}"
    return status if outcome.detail is None else f"{status}; detail={outcome.detail}"


def _cache_control(query: Query, age_s: int, ttl_ms: int) -> str:
    # An answer that depends on who asks may be kept by a browser, and by nothing that others share (RFC 9111 5.2.2.7).
    return f"private, {_kept(query.policy, age_s, ttl_ms)}" if query.claims else _kept(query.policy, age_s, ttl_ms)


def _kept(policy: Policy, age_s: int, ttl_ms: int) -> str:
    # A copy in a browser or CDN cannot be invalidated, so each query decides whether they may keep one.
    if policy.client_ms == 0:
        return "no-cache"
    # A client subtracts Age from max-age (RFC 9111 section 4.2).
    max_age_s = age_s + max(0, min(policy.client_ms, ttl_ms)) // 1000
    # A window begins when the answer expires here. A part of it may have passed.
    past_ms = max(0, -ttl_ms)
    stale_s, error_s = (max(0, ms - past_ms) // 1000 for ms in (policy.stale_ms, policy.stale_if_error_ms))
    return f"max-age={max_age_s}, stale-while-revalidate={stale_s}, stale-if-error={error_s}"


def _server_timing(answer: Answer) -> str:
    database = "" if answer.database_ms is None else f"db;dur={answer.database_ms:.2f}, "
    return f"cache;dur={answer.cache_ms:.2f}, {database}total;dur={answer.total_ms:.2f}"
