"""What the demo counts as a hit, and the table that it prints."""

import pytest

from local.demo import QueryTimes, format_table


@pytest.mark.parametrize(
    ("status", "cache_status", "hit"),
    [
        (200, "cacheaside; hit; ttl=42", True),
        (200, "cacheaside;hit", True),
        (200, "cacheaside; fwd=miss; stored; ttl=60", False),
        (200, "cacheaside; fwd=stale; detail=hit-for-pass", False),
        (200, "hit", False),
        (200, "", False),
        (503, "cacheaside; hit", False),
    ],
)
def test_only_a_hit_is_a_hit(status: int, cache_status: str, hit: bool) -> None:
    assert QueryTimes("version", 5000, 1, status, cache_status).is_hit is hit


def test_the_table_is_aligned_and_marks_calls_that_were_no_hit() -> None:
    rows = [
        QueryTimes("version", 5012.34, 1.234, 200, "cacheaside; hit; ttl=60"),
        QueryTimes("top_products", 80.0, 79.0, 200, "cacheaside; fwd=miss"),
        QueryTimes("product", 3.0, 2.0, 503, ""),
    ]
    assert format_table(rows).splitlines() == [
        "query         miss ms  hit ms   ratio  Cache-Status of the second call",
        "────────────  ───────  ──────  ──────  " + "─" * len("cacheaside; fwd=miss  ← not a hit"),
        "version       5,012.3     1.2  4,062×  cacheaside; hit; ttl=60",
        "top_products     80.0    79.0      1×  cacheaside; fwd=miss  ← not a hit",
        "product           3.0     2.0      2×  answered 503  ← not a hit",
    ]
