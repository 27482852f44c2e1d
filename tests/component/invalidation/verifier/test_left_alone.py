"""What is not compared."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside.invalidation.verifier import Verification
from tests.component.support.verified_shop import GIFT, Shop


def test_answers_of_another_deployment_are_left_alone(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.ask("cheap")
    shop.has(gift=GIFT.replace("select id,", "select id as number,"))
    (shop.folder / "queries" / "cheap.sql").unlink()
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
    shop.ask("gift", tick_ms=2_001, id=["1"])
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
