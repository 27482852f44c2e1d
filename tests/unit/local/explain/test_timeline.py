"""The drawing of a policy: its moments are those of the policy, in their order."""

from cacheaside.catalogue.policy import Policy
from local.explain.timeline import timeline


def test_stale_windows_begin_where_the_ttl_ends() -> None:
    drawn = timeline(Policy(ttl_ms=60_000, stale_ms=600_000, stale_if_error_ms=3_600_000))
    assert drawn.splitlines() == [
        "loaded                    1 m                       11 m                      1 h 1 m",
        "├──────── ttl 1 m ────────┼─────── stale 10 m ──────┤",
        "│                         ├──────────────── stale if error 1 h ───────────────┤",
        "   HIT                       STALE, one refreshes      only if the load fails",
    ]


def test_a_window_on_error_within_the_stale_one_is_not_announced_as_more() -> None:
    drawn = timeline(Policy(ttl_ms=60_000, stale_ms=600_000, stale_if_error_ms=60_000))
    assert drawn.splitlines() == [
        "loaded                    1 m                       2 m                       11 m",
        "├──────── ttl 1 m ────────┼──────────────────── stale 10 m ───────────────────┤",
        "│                         ├─── stale if error 1 m ──┤",
        "   HIT                       STALE, one refreshes",
    ]


def test_without_windows_there_is_only_the_ttl() -> None:
    assert timeline(Policy(ttl_ms=500)).splitlines() == [
        "loaded                    500 ms",
        "├─────── ttl 500 ms ──────┤",
        "   HIT",
    ]
