"""A caller with many values does not push the answers of others out of a cache that is too small for all of them."""

from __future__ import annotations

from contextlib import closing

import pytest
import redis

from bench.flooding import Flood, flooded_cache
from cacheaside.reading.outcome import Source
from cacheaside.runtime.read_metrics import ReadMetrics

OTHERS = range(1, 101)
VALUES = 2_500
# The others' answers take up 0.3 MB, and the values 6 MB.
MAXMEMORY = "4mb"


def hits_after_flood(new_answers: int) -> tuple[int, int]:
    """Return how many of the others' answers are left, and how many of the flood found no room."""
    # It evicts first what ends first. By any other policy, what 1,000 values in 2 s take up briefly evicts the others.
    with flooded_cache("volatile-ttl", MAXMEMORY) as server, closing(redis.from_url(server.url)) as client:
        client.config_set("maxmemory-samples", 64)
        flood = Flood(server, new_answers)
        for other in OTHERS:
            flood.ask(other)
        for _ in flood.flood(VALUES):
            pass
        return sum(flood.ask(other).outcome.source is Source.HIT for other in OTHERS), flood.refused


def test_answers_of_others_remain_hits() -> None:
    hits, refused = hits_after_flood(new_answers=300)
    assert hits == len(OTHERS)
    # 200 were free after those of the others, and a few came back meanwhile.
    assert VALUES - 400 < refused <= VALUES - 200


def test_without_a_limit_they_would_not() -> None:
    hits, refused = hits_after_flood(new_answers=1_000_000_000)
    assert hits < len(OTHERS) / 2
    assert refused == 0


def test_metric_counts_each_answer_without_room(capsys: pytest.CaptureFixture[str]) -> None:
    with flooded_cache("volatile-lru") as server:
        flood, metrics = Flood(server, new_answers=2), ReadMetrics()
        for number in range(5):
            metrics.read(flood.reader, flood.question(number), lambda: 29_000)
        metrics._metrics.write()
    assert capsys.readouterr().out.count('"NewKeysRefused":[1,1,1]') == 1
