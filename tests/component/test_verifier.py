"""The verifier on real servers, with entries that the read path has made: it finds what is stale, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from cacheaside import steps
from cacheaside.catalogue import Catalogue
from cacheaside.drain import Drainer
from cacheaside.drivers import cache_connections
from cacheaside.drivers.cache import Cache
from cacheaside.drivers.database import Database
from cacheaside.drivers.outbox import Outbox
from cacheaside.errors import DatabaseUnavailable
from cacheaside.parameters import bind_text
from cacheaside.reader import Reader, epoch_ms
from cacheaside.settings import DatabaseSettings
from cacheaside.verifier import Verification, Verifier
from local.valkey_cluster import ValkeyCluster
from tests.component.conftest import CacheServer, client_of, settings_of

GIFT = """\
-- summary = "One gift"
-- ttl     = "60s"
-- stale   = "10m"
-- returns = "one"
-- tags    = ["gifts:{id}"]
-- params.id = { type = "integer" }
select id, price from gifts where id = %(id)s
"""
CHEAP = """\
-- summary = "Gifts of at most a price, by some names"
-- ttl     = "60s"
-- tags    = ["gifts"]
-- params.price = { type = "number", default = 9.99 }
-- params.names = { type = "text[]", required = false }
select id, price, %(names)s::text[] as names from gifts where price <= %(price)s order by id
"""
CALLS = 10  # of the verifier, after which a small cache has been gone through, also one of three servers


class Shop:
    """Some gifts, the queries about them, and a cache in front of both. Its table is watched."""

    def __init__(self, folder: Path, cache: Cache, database: Database, outbox: Outbox, sql: Callable[..., Any]) -> None:
        self.folder = folder
        self.cache = cache
        self.database: Any = database
        self.outbox = outbox
        self.sql = sql
        self.slept: list[float] = []
        self.sleep: Callable[[float], object] = lambda _: None
        self.later_ms = 0  # by how much the verifier's clock is ahead

    def has(self, **queries: str) -> None:
        for name, text in queries.items():
            path = self.folder / "query" / "queries" / f"{name}.sql"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue.load(self.folder)

    def ask(self, name: str, now_ms: Callable[[], int] = epoch_ms, **values: list[str]) -> str:
        """Ask as a caller does. Returns the key of the answer."""
        query = self.catalogue.query(name)
        bound = query.bind(bind_text(query.parameters, values))
        Reader(self.cache, self.database, now_ms).read(bound, lambda: 29_000)
        return bound.keys.entry

    def drain(self) -> float:
        return Drainer(self.outbox, self.cache).settle()

    def verifier(self) -> Verifier:
        def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.sleep(seconds)

        return Verifier(
            self.cache, self.database, self.catalogue, self.drain, lambda: epoch_ms() + self.later_ms, sleep
        )

    def verify(self) -> Verification:
        """Go through the whole cache, of few entries, at least once, and stop at the first call that compared any."""
        verifier = self.verifier()
        for _ in range(CALLS):
            verification = verifier.verify(at_most=100)
            if verification.checked:
                return verification
        return Verification(0)


@pytest.fixture
def side(cache_server: CacheServer) -> Iterator[Any]:
    with client_of(cache_server) as client:
        client.flushall()
        yield client


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is away when the test says so, never for a busy machine."""
    monkeypatch.setattr(cache_connections, "CALL_S", 10.0)


@pytest.fixture
def shop(
    patient: None,
    tmp_path: Path,
    cache_server: CacheServer,
    side: Any,
    database_settings: DatabaseSettings,
    outbox_settings: DatabaseSettings,
    sql: Callable[..., Any],
) -> Iterator[Shop]:
    sql("create table gifts (id integer primary key, price numeric not null)")
    try:
        sql("insert into gifts select id, id from generate_series(1, 300) as id")
        sql("select cacheaside.watch('gifts')")
        cache, database = Cache(settings_of(cache_server)), Database(database_settings)
        shop = Shop(tmp_path, cache, database, Outbox(outbox_settings), sql)
        shop.has(gift=GIFT, cheap=CHEAP)
        shop.drain()
        yield shop
    finally:
        sql("drop table gifts")


@dataclass
class Interrupted:
    """A database before each of whose loads something happens."""

    database: Any
    before: Callable[[], object] = lambda: None
    asked: list[str] = field(default_factory=list)

    def load(self, step: steps.Load) -> steps.Loaded:
        self.before()
        self.asked.append(step.query.question)
        loaded: steps.Loaded = self.database.load(step)
        return loaded


# Right answers


def test_right_answers_are_verified_whatever_was_asked(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.ask("gift", id=["9999"])  # there is none
    shop.ask("cheap")
    shop.ask("cheap", price=["+1.50"], names=["a&b", "", "ø"])
    shop.database = Interrupted(shop.database)
    verifier = shop.verifier()
    verifications = [verifier.verify(at_most=100) for _ in range(CALLS)]
    asked = {"id=1", "id=9999", "price=9.99", "price=1.5&names=a%26b&names=&names=%C3%B8"}
    assert set(shop.database.asked) == asked
    assert sum(verification.checked for verification in verifications) == len(shop.database.asked)
    assert {verification.stale for verification in verifications} == {()}
    assert shop.slept == []


def test_answer_of_the_present_is_right_after_a_write(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 0 where id = 1")
    shop.drain()
    shop.ask("gift", id=["1"])
    assert shop.verify() == Verification(1)


# Stale answers


def test_write_that_nobody_recorded_is_found_with_the_age_of_the_answer(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    key = shop.ask("gift", id=["17"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 17")
    shop.later_ms = 90_000
    [stale] = shop.verify().stale
    assert (stale.query, stale.key, stale.question) == ("gift", key, "id=17")
    assert 90 <= stale.age_s < 120
    [line] = caplog.messages
    assert key in line
    assert "id=17" not in line + repr(stale), "what a caller has sent is not for logs"


@pytest.mark.parametrize("write", ["delete from gifts where id = 1", "insert into gifts values (301, 0)"])
def test_row_that_went_or_came_unseen_is_found(shop: Shop, write: str) -> None:
    shop.ask("gift", id=["1"])
    shop.ask("gift", id=["301"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql(write)
    verifier = shop.verifier()
    stale = {answer.question for _ in range(CALLS) for answer in verifier.verify(at_most=100).stale}
    assert stale == {"id=1" if "delete" in write else "id=301"}


def test_answer_in_its_stale_window_is_served_and_so_compared(shop: Shop) -> None:
    shop.ask("gift", lambda: epoch_ms() - 70_000, id=["1"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 1")
    [stale] = shop.verify().stale
    assert stale.age_s >= 70


def test_tag_that_a_query_does_not_declare_is_found(shop: Shop) -> None:
    shop.has(gift=GIFT.replace("gifts:{id}", "orders"))
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 0 where id = 1")
    assert len(shop.verify().stale) == 1


# What is on its way is not stale


def test_write_between_the_look_and_the_load_is_no_false_alarm(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.database = Interrupted(shop.database, lambda: shop.sql("update gifts set price = price + 1 where id = 1"))
    assert shop.verify() == Verification(1)
    assert shop.slept == [0.0]


def test_entry_that_was_replaced_meanwhile_is_no_false_alarm(shop: Shop, side: Any) -> None:
    """By a refresh, which leaves the tags as they are."""
    key = shop.ask("gift", id=["1"])
    shop.sql("select cacheaside.unwatch('gifts')")
    database = shop.database

    def replace_it() -> None:
        shop.sql("update gifts set price = 0 where id = 1")
        side.delete(key)
        shop.database = database
        shop.ask("gift", id=["1"])

    shop.database = Interrupted(database, replace_it)
    assert shop.verify() == Verification(1)


@pytest.fixture
def other_drainer(postgres: Any) -> Iterator[Any]:
    with closing(psycopg2.connect(postgres.url)) as connection:
        yield connection


def has_in_hand(drainer: Any) -> None:
    with drainer.cursor() as cursor:
        cursor.execute("select change from cacheaside.outbox where drained_at is null for update")


def test_write_that_another_drainer_has_in_hand_is_waited_for(shop: Shop, other_drainer: Any) -> None:
    def update_and_have_it_taken() -> None:
        shop.sql("update gifts set price = 0 where id = 1")
        has_in_hand(other_drainer)

    def finish(seconds: float) -> None:
        if seconds:
            shop.cache.invalidate_tags(["gifts:1"])
            other_drainer.commit()

    shop.ask("gift", id=["1"])
    shop.database = Interrupted(shop.database, update_and_have_it_taken)
    shop.sleep = finish
    assert shop.verify() == Verification(1)
    assert shop.slept == [0.0, 0.5]


def test_nothing_is_waited_for_once_no_answer_differs(shop: Shop, other_drainer: Any) -> None:
    shop.sql("update products set price = price where id = 1")
    has_in_hand(other_drainer)
    shop.ask("gift", id=["1"])
    shop.database = Interrupted(shop.database, lambda: shop.sql("update gifts set price = 0 where id = 1"))
    assert shop.verify() == Verification(1)
    assert shop.slept == [0.0]


def test_write_that_another_drainer_keeps_in_hand_is_left_to_a_later_sample(shop: Shop, other_drainer: Any) -> None:
    def update_and_have_it_taken() -> None:
        shop.sql("update gifts set price = 0 where id = 1")
        has_in_hand(other_drainer)

    shop.ask("gift", id=["1"])
    shop.database = Interrupted(shop.database, update_and_have_it_taken)
    assert shop.verify() == Verification(1)
    assert sum(shop.slept) == 3


def test_writes_that_go_on_and_on_do_not_hide_a_stale_answer(shop: Shop, other_drainer: Any) -> None:
    """Something is pending each time, but younger than the load."""

    def write_more(seconds: float) -> None:
        time.sleep(seconds)
        other_drainer.commit()
        shop.drain()
        shop.sql("update products set price = price where id = 1")
        has_in_hand(other_drainer)

    shop.ask("gift", id=["1"])
    shop.sql("select cacheaside.unwatch('gifts')")
    shop.sql("update gifts set price = 0 where id = 1")
    shop.sleep = write_more
    assert len(shop.verify().stale) == 1


def test_answer_that_was_taken_out_and_is_still_there_is_not_asked_for(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.sql("update gifts set price = 0 where id = 1")
    shop.database = Interrupted(shop.database)
    assert shop.verify() == Verification(0)
    assert shop.database.asked == []


# What is not compared


def test_answers_of_another_deployment_are_left_alone(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.ask("cheap")
    shop.has(gift=GIFT.replace("select id,", "select id as number,"))
    (shop.folder / "query" / "queries" / "cheap.sql").unlink()
    assert shop.verify() == Verification(0)


def test_answers_to_what_may_not_be_asked_any_more_are_left_alone(shop: Shop) -> None:
    shop.ask("gift", id=["17"])
    shop.has(gift=GIFT.replace('"integer"', '"integer", max = 5'))
    assert shop.verify() == Verification(0)


@pytest.mark.parametrize(("old", "new"), [("stale", "verify = false\n-- stale"), ('["gifts:{id}"]', "[]")])
def test_answers_that_nothing_takes_out_are_left_alone(shop: Shop, old: str, new: str) -> None:
    shop.has(gift=GIFT.replace(old, new))
    shop.ask("gift", id=["1"])
    assert shop.verify() == Verification(0)


def test_answers_that_took_long_are_left_alone(shop: Shop) -> None:
    ticks = count(epoch_ms(), 2_001)
    shop.ask("gift", lambda: next(ticks), id=["1"])
    assert shop.verify() == Verification(0)


def test_what_is_no_entry_of_ours_is_left_alone(shop: Shop, side: Any) -> None:
    key = shop.ask("gift", id=["1"])
    other, _right = shop.ask("gift", id=["2"]), shop.ask("gift", id=["3"])
    side.set(key, b"garbage")
    side.delete(other)
    side.rpush(other, "a list")
    side.set(b"cacheaside:entry:\xff", b"not even text")
    side.set("cacheaside:entry:", b"")
    assert shop.verify() == Verification(1)


def test_copy_of_an_entry_is_left_alone(shop: Shop, side: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = ("cacheaside:entry:{gift:0}", side.get(shop.ask("gift", id=["1"])))
    monkeypatch.setattr(shop.cache, "sample", lambda _at_most: [copy])
    assert shop.verify() == Verification(0)


# Bounds


def test_loading_ends_after_five_seconds(shop: Shop) -> None:
    """Each load takes three by the clock, and the third is not begun. On one server, or they are not in one sample."""

    def take_three_seconds() -> None:
        shop.later_ms += 3_000

    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    shop.database = Interrupted(shop.database, take_three_seconds)
    assert shop.verify() == Verification(2)


def test_database_that_goes_away_ends_it_with_what_was_checked(shop: Shop) -> None:
    def fail_the_second() -> None:
        if shop.database.asked:
            raise DatabaseUnavailable("the test says so")

    for number in range(1, 40):
        shop.ask("gift", id=[str(number)])
    shop.database = Interrupted(shop.database, fail_the_second)
    assert shop.verify() == Verification(1)


def test_cache_that_is_away_ends_it_quietly(
    shop: Shop, cache_server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop.ask("gift", id=["1"])
    monkeypatch.setattr(cache_connections, "CALL_S", 0.2)
    cache_server.freeze()
    try:
        assert shop.verifier().verify() == Verification(0)
    finally:
        cache_server.thaw()
    assert caplog.messages == []


# The sample


def test_every_entry_is_come_by_in_a_bounded_number_of_calls(shop: Shop, cache_server: CacheServer) -> None:
    keys = {shop.ask("gift", id=[str(number)]) for number in range(1, 301)}
    servers = len(cache_server.nodes) if isinstance(cache_server, ValkeyCluster) else 1
    # Each answer has a tag of its own beside it, and a step may come by fewer than the 100 keys that it is to look at.
    calls = 2 * (2 * len(keys)) // 100 + servers
    found = {key for _ in range(calls) for key, _ in shop.cache.sample(1_000)}
    assert found == keys


def test_sample_is_small_and_another_each_time(shop: Shop) -> None:
    for number in range(1, 301):
        shop.ask("gift", id=[str(number)])
    samples = [shop.cache.sample(5) for _ in range(60)]
    assert max(map(len, samples)) == 5
    assert len({key for sample in samples for key, _ in sample}) > 60
