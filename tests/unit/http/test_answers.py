"""The response to a query: its headers for every source, its encoding, and the problem details of errors."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode

import pytest

from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import CacheasideError, NotFound
from cacheaside.http.answers import answer_headers, respond
from cacheaside.http.conditions import conditional
from cacheaside.http.messages import Response
from cacheaside.http.problems import PROBLEMS, problem_of, problem_response
from cacheaside.reading.entry import Encoding, Entry, entity_tag, pack
from cacheaside.reading.outcome import Outcome, Source
from cacheaside.reading.reader import Answer

NOW = 1_000_000
ENTRY = Entry(
    body=b"{}",
    created_ms=NOW - 18_500,
    fresh_until_ms=NOW + 41_500,
    load_ms=10,
    token=b"t" * 16,
    tag_versions=(),
    etag=entity_tag(b"{}"),
    question=bytes(16),
    query_string="",
)


def headers(outcome: Outcome, client_ms: int = 0, database_ms: float | None = None, claim: str = "") -> dict[str, str]:
    policy = Policy(ttl_ms=60_000, stale_ms=600_000, stale_if_error_ms=900_000, client_ms=client_ms)
    query = Query(
        name="q", summary="", sql="", returns="one", timeout_ms=1, tags=(), policy=policy,
        parameters={"user": Parameter("user", "text", claim=claim)},
    )  # fmt: skip
    return answer_headers(query, Answer(outcome, NOW, 0.5, database_ms, 1.25))


BODY = b'{"data":[' + b",".join(b'{"id":%d,"name":"mug"}' % number for number in range(100)) + b"]}"
TAG = entity_tag(BODY).hex()
PLAIN = ENTRY._replace(body=BODY, etag=entity_tag(BODY))
PACKED = PLAIN._replace(encoding=Encoding.GZIP, body=pack(BODY)[1])
ACCEPTS_GZIP = ["gzip", "gzip, deflate, br", "GZIP;q=0.5", "*", "identity;q=0.1, gzip"]
ACCEPTS_NO_GZIP = [None, "", "br", "identity", "gzip;q=0", "gzip;q=0, *", "gzip;q=0.1, identity"]


def answered(entry: Entry, accept_encoding: str | None, if_none_match: str | None = None) -> Response:
    policy = Policy(ttl_ms=60_000)
    query = Query(name="q", summary="", sql="", returns="one", timeout_ms=1, tags=(), parameters={}, policy=policy)
    answer = Answer(Outcome(source=Source.HIT, entry=entry), NOW, 0.5, None, 1.25)
    sent = {"accept-encoding": accept_encoding, "if-none-match": if_none_match}
    request_headers = {name: value for name, value in sent.items() if value is not None}
    return conditional(respond(query, answer, request_headers), request_headers)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(source=Source.HIT, entry=ENTRY), "cacheaside; hit; ttl=41"),
        (Outcome(source=Source.MISS, entry=ENTRY, stored=True), "cacheaside; fwd=miss; stored; ttl=41"),
        (Outcome(source=Source.EXPIRED, entry=ENTRY, stored=True), "cacheaside; fwd=stale; stored; ttl=41"),
        (Outcome(source=Source.MISS, entry=ENTRY, detail="lease-lost"), "cacheaside; fwd=miss; detail=lease-lost"),
        (Outcome(source=Source.BYPASS, entry=ENTRY, detail="x"), "cacheaside; fwd=bypass; detail=x"),
        (Outcome(source=Source.DIRECT, entry=ENTRY), "cacheaside; fwd=request"),
    ],
)
def test_cache_status_has_the_source_of_the_answer(outcome: Outcome, status: str) -> None:
    assert headers(outcome)["Cache-Status"] == status


def test_age_and_server_timing() -> None:
    hit = headers(Outcome(source=Source.HIT, entry=ENTRY))
    assert (hit["Age"], hit["Server-Timing"]) == ("18", "cache;dur=0.50, total;dur=1.25")
    miss = headers(Outcome(source=Source.MISS, entry=ENTRY), database_ms=0.25)
    assert miss["Server-Timing"] == "cache;dur=0.50, db;dur=0.25, total;dur=1.25"


def test_client_may_keep_no_answer_unless_the_query_allows_it() -> None:
    assert headers(Outcome(source=Source.HIT, entry=ENTRY))["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("fresh_for_s", "client_s", "left_s", "windows"),
    [
        (41, 30, 30, (600, 900)),  # at most what the query allows
        (41, 90, 41, (600, 900)),  # and never past the freshness here
        (0, 30, 0, (600, 900)),
        (-100, 30, 0, (500, 800)),  # a stale answer, with 500 s left of its window
        (-700, 30, 0, (0, 200)),
        (-2000, 30, 0, (0, 0)),
    ],
)
def test_client_keeps_an_answer_for_the_time_that_is_left_when_it_arrives(
    fresh_for_s: int, client_s: int, left_s: int, windows: tuple[int, int]
) -> None:
    entry = ENTRY._replace(fresh_until_ms=NOW + fresh_for_s * 1000)
    for source in set(Source) - {Source.DIRECT}:
        answer = headers(Outcome(source=source, entry=entry), client_ms=client_s * 1000)
        max_age, *others = (int(directive.partition("=")[2]) for directive in answer["Cache-Control"].split(", "))
        assert max_age - int(answer["Age"]) == left_s  # as clients reckon, RFC 9111 section 4.2
        assert tuple(others) == windows


@pytest.mark.parametrize("client_ms", [0, 30_000])
def test_an_answer_that_depends_on_who_asks_is_kept_by_nothing_that_others_share(client_ms: int) -> None:
    hit = Outcome(source=Source.HIT, entry=ENTRY)
    mine, ours = headers(hit, client_ms, claim="sub"), headers(hit, client_ms)
    assert mine["Cache-Control"] == f"private, {ours['Cache-Control']}"
    assert mine["Vary"] == "Accept-Encoding, Authorization"
    assert "private" not in ours["Cache-Control"]


def test_answer_that_the_caller_wanted_without_the_cache_has_been_in_none_and_may_be_kept_by_none() -> None:
    direct = headers(Outcome(source=Source.DIRECT, entry=ENTRY), client_ms=30_000, database_ms=18_000)
    assert (direct["Age"], direct["Cache-Control"]) == ("0", "no-store")


@pytest.mark.parametrize("accepted", ACCEPTS_GZIP)
def test_compressed_body_is_sent_as_stored_if_the_caller_accepts_it(accepted: str) -> None:
    response = answered(PACKED, accepted)
    assert response.is_base64
    assert b64decode(str(response.body)) == PACKED.body
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["ETag"] == f'"{TAG}-gzip"'
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("entry", "accepted"),
    [*((PACKED, field) for field in ACCEPTS_NO_GZIP), *((PLAIN, field) for field in ACCEPTS_GZIP + ACCEPTS_NO_GZIP)],
)
def test_plain_body_is_sent_if_gzip_is_not_accepted_or_not_stored(entry: Entry, accepted: str | None) -> None:
    response = answered(entry, accepted)
    assert (response.body, response.is_base64) == (BODY.decode(), False)
    assert "Content-Encoding" not in response.headers
    assert response.headers["ETag"] == f'"{TAG}"'
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", [None, "gzip"])
def test_if_none_match_is_compared_with_the_encoding_to_send(accepted: str | None) -> None:
    same, other = (f'"{TAG}-gzip"', f'"{TAG}"') if accepted else (f'"{TAG}"', f'"{TAG}-gzip"')
    assert answered(PACKED, accepted, other).status == 200
    whole = answered(PACKED, accepted)
    for condition in (same, f"W/{same}", f"{other}, {same}", "*"):
        unchanged = answered(PACKED, accepted, condition)
        assert (unchanged.status, unchanged.body) == (304, "")
        assert {**unchanged.headers, "Content-Type": "application/json"} == whole.headers
        assert not unchanged.is_base64


def test_not_found_has_vary_and_no_entity_tag() -> None:
    with pytest.raises(NotFound) as absent:
        answered(ENTRY._replace(body=None), "gzip")
    assert absent.value.headers["Vary"] == "Accept-Encoding"
    assert not {"ETag", "Content-Encoding"} & absent.value.headers.keys()


def test_body_that_is_not_gzip_is_an_error_only_if_it_must_be_unpacked() -> None:
    broken = PACKED._replace(body=b"not gzip")
    assert b64decode(str(answered(broken, "gzip").body)) == b"not gzip"
    with pytest.raises(zlib.error):
        answered(broken, None)
    assert problem_of(zlib.error()).status == 500


def leaf_classes(kind: type[Exception]) -> list[type[Exception]]:
    below = kind.__subclasses__()
    return [leaf for each in below for leaf in leaf_classes(each)] if below else [kind]


def test_every_error_but_the_internal_ones_has_a_problem_of_its_own() -> None:
    internal = {"SettingsError", "StatementFailed"}
    slugs = {kind.__name__: problem_of(kind.__new__(kind)).slug for kind in leaf_classes(CacheasideError)}
    assert {name for name, slug in slugs.items() if slug == "internal"} == internal


def test_text_of_an_unforeseen_error_is_not_sent() -> None:
    response = problem_response(RuntimeError("password=hunter2"), "0e37df36-f698-11e6-8dd4-cb9ced3df976")
    assert "hunter2" not in str(response.body)
    assert json.loads(str(response.body))["instance"] == "urn:uuid:0e37df36-f698-11e6-8dd4-cb9ced3df976"


def test_slugs_are_unique() -> None:
    assert len({kind.slug for kind in PROBLEMS}) == len(PROBLEMS)
