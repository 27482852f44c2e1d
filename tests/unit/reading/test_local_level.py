"""The first cache level, in the memory of the process: bounded in time and number, and never past freshness."""

from __future__ import annotations

from cacheaside.reading.entry import Entry, entity_tag
from cacheaside.reading.local_level import LocalLevel

NOW = 1_000_000
ENTRY = Entry(
    body=b"{}",
    created_ms=NOW,
    fresh_until_ms=NOW + 60_000,
    load_ms=1,
    token=bytes(16),
    tag_versions=(),
    etag=entity_tag(b"{}"),
    question=bytes(16),
    query_string="",
)


def test_entry_is_kept_for_its_time_and_no_longer() -> None:
    level = LocalLevel()
    level.keep("a", ENTRY, NOW, 2_000)
    assert level.get("a", NOW + 1_999) is ENTRY
    assert level.get("a", NOW + 2_000) is None


def test_key_that_was_never_kept_has_none_at_any_time() -> None:
    assert LocalLevel().get("a", 0) is None


def test_entry_is_not_kept_past_its_freshness() -> None:
    level = LocalLevel()
    level.keep("a", ENTRY._replace(fresh_until_ms=NOW + 500), NOW, 2_000)
    assert level.get("a", NOW + 500) is None


def test_entry_is_not_kept_for_longer_because_the_clock_was_set_back() -> None:
    level = LocalLevel()
    level.keep("a", ENTRY, NOW, 2_000)
    assert level.get("a", NOW - 3_600_000) is None
    assert level.get("a", NOW) is None


def test_level_that_is_off_keeps_nothing() -> None:
    level = LocalLevel()
    level.keep("a", ENTRY, NOW, 0)
    assert level.get("a", NOW) is None


def test_least_recently_used_entry_is_evicted_first() -> None:
    level = LocalLevel()
    for number in range(100):
        level.keep(str(number), ENTRY, NOW, 2_000)
    level.get("0", NOW)
    level.keep("one too many", ENTRY, NOW, 2_000)
    assert level.get("0", NOW) is ENTRY
    assert level.get("1", NOW) is None
