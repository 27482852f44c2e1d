"""Foreign values in the cache: each is there when it is written, and the next reads answer right and replace it."""

from __future__ import annotations

from contextlib import closing

import pytest
import redis

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.settings import Authentication, DatabaseSettings
from local.servers.processes import HOST
from proofs.chaos.faults.entries import ENTRY_FAULTS
from proofs.chaos.stack import ChaosStack
from proofs.consistency.api_processes import read_values
from tests.component.support.one_fault import injected, proxied_url

ROWS = range(5)
NAMES = [fault.name for fault in ENTRY_FAULTS]


@pytest.mark.parametrize(
    ("stack", "name"), [*(("node", name) for name in NAMES), ("cluster", NAMES[1])], indirect=["stack"]
)
def test_foreign_value_is_written_and_no_answer_comes_of_it(stack: ChaosStack, name: str) -> None:
    for node in stack.cache.nodes:
        with closing(redis.Redis(HOST, node.port)) as client:
            client.flushall()
    settings = DatabaseSettings(
        url=proxied_url(stack, "cacheaside_query"), authentication=Authentication.URL, region=""
    )
    reader = Reader(Cache(stack.cache.settings()), Queries(settings))
    query = Catalogue.load(stack.catalogue).query("row")
    questions = [Question(query, {"id": row}) for row in ROWS]
    values = [read_values(reader, question).values for question in questions]
    before = stored(stack)
    with injected(stack, name):
        after = stored(stack)
        assert len({key for key in {**before, **after} if before.get(key) != after.get(key)}) >= len(ROWS)
    is_load = "lease" not in name and "failure" not in name
    for question, value in zip(questions, values, strict=True):
        answer = read_values(reader, question)
        assert answer.values == value
        assert answer.source is Source.MISS or not is_load
        # At once, because a row's time to live is over before all rows have been loaded.
        assert read_values(reader, question).source in (Source.HIT, Source.STALE)


def stored(stack: ChaosStack) -> dict[bytes, bytes]:
    """Return the value of each key, as the server would dump it."""
    values = {}
    for node in stack.cache.nodes:
        with closing(redis.Redis(HOST, node.port)) as client:
            values |= {key: client.dump(key) or b"" for key in client.scan_iter(count=1000)}
    return values
