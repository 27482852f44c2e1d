"""Headers of an answer, for every way that it can have come about."""

from __future__ import annotations

import json

import pytest

from cacheaside.catalogue import Query
from cacheaside.entry import Entry, entity_tag
from cacheaside.errors import CacheasideError
from cacheaside.http.answers import answer_headers
from cacheaside.http.problems import PROBLEMS, problem_of, render
from cacheaside.outcome import Outcome, Source
from cacheaside.policy import Policy
from cacheaside.reader import Answer

NOW = 1_000_000
ENTRY = Entry(
    body=b"{}",
    created_ms=NOW - 18_500,
    fresh_until_ms=NOW + 41_500,
    load_ms=10,
    token=b"t" * 16,
    tag_versions=(),
    etag=entity_tag(b"{}"),
)


def headers(outcome: Outcome, client_ms: int = 0, database_ms: float | None = None) -> dict[str, str]:
    policy = Policy(ttl_ms=60_000, stale_ms=600_000, stale_if_error_ms=900_000, client_ms=client_ms)
    query = Query(
        name="q", summary="", sql="", returns="one", timeout_ms=1, tags=(), parameters={}, policy=policy
    )  # fmt: skip
    return answer_headers(query, Answer(outcome, NOW, 0.5, database_ms, 1.25))


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(source=Source.HIT, entry=ENTRY), "cacheaside; hit; ttl=41"),
        (Outcome(source=Source.MISS, entry=ENTRY, stored=True), "cacheaside; fwd=miss; stored"),
        (Outcome(source=Source.EXPIRED, entry=ENTRY, stored=True), "cacheaside; fwd=stale; stored"),
        (Outcome(source=Source.MISS, entry=ENTRY, detail="lease-lost"), "cacheaside; fwd=miss; detail=lease-lost"),
        (Outcome(source=Source.BYPASS, entry=ENTRY, detail="x"), "cacheaside; fwd=bypass; detail=x"),
    ],
)
def test_cache_status_tells_where_the_answer_came_from(outcome: Outcome, status: str) -> None:
    assert headers(outcome)["Cache-Status"] == status


def test_age_and_server_timing() -> None:
    hit = headers(Outcome(source=Source.HIT, entry=ENTRY))
    assert (hit["Age"], hit["Server-Timing"]) == ("18", "cache;dur=0.50, total;dur=1.25")
    miss = headers(Outcome(source=Source.MISS, entry=ENTRY), database_ms=0.25)
    assert miss["Server-Timing"] == "cache;dur=0.50, db;dur=0.25, total;dur=1.25"


def test_client_may_keep_an_answer_only_if_the_query_allows_it_and_never_past_its_freshness() -> None:
    hit = Outcome(source=Source.HIT, entry=ENTRY)
    windows = "stale-while-revalidate=600, stale-if-error=900"
    assert headers(hit)["Cache-Control"] == "no-cache"
    assert headers(hit, client_ms=30_000)["Cache-Control"] == f"max-age=30, {windows}"
    assert headers(hit, client_ms=90_000)["Cache-Control"] == f"max-age=41, {windows}"


def leaves(kind: type[Exception]) -> list[type[Exception]]:
    below = kind.__subclasses__()
    return [leaf for each in below for leaf in leaves(each)] if below else [kind]


def test_every_error_of_the_tree_that_is_not_ours_has_a_kind_of_its_own() -> None:
    ours = {"CatalogueError", "SettingsError", "StatementFailed"}
    unmapped = {kind.__name__ for kind in leaves(CacheasideError) if problem_of(kind.__new__(kind)).slug == "internal"}
    assert unmapped == ours


def test_unforeseen_error_shows_nothing_of_itself() -> None:
    response = render(RuntimeError("password=hunter2"), "0e37df36-f698-11e6-8dd4-cb9ced3df976")
    assert "hunter2" not in str(response.body)
    assert json.loads(str(response.body))["instance"] == "urn:uuid:0e37df36-f698-11e6-8dd4-cb9ced3df976"


def test_slugs_are_unique() -> None:
    assert len({kind.slug for kind in PROBLEMS}) == len(PROBLEMS)
