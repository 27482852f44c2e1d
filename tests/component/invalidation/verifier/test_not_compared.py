"""Entries that the verifier does not compare."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside.invalidation.verification import Verification
from tests.component.support.verifier_shop import GIFT, Shop


def test_answers_of_another_deployment_are_not_compared(shop: Shop) -> None:
    shop.ask("gift", id=["1"])
    shop.ask("cheap")
    shop.write_queries(gift=GIFT.replace("select id,", "select id as number,"))
    (shop.folder / "queries" / "cheap.sql").unlink()
    assert shop.verify() == Verification(0)


def test_answers_to_parameters_that_are_no_longer_allowed_are_not_compared(shop: Shop) -> None:
    shop.ask("gift", id=["17"])
    shop.write_queries(gift=GIFT.replace('"integer"', '"integer", max = 5'))
    assert shop.verify() == Verification(0)


@pytest.mark.parametrize(("old", "new"), [("stale", "verify = false\n-- stale"), ('["gifts:{id}"]', "[]")])
def test_answers_without_verification_or_tags_are_not_compared(shop: Shop, old: str, new: str) -> None:
    shop.write_queries(gift=GIFT.replace(old, new))
    shop.ask("gift", id=["1"])
    assert shop.verify() == Verification(0)


def test_answers_that_took_very_long_to_load_are_not_compared(shop: Shop) -> None:
    shop.ask("gift", tick_ms=10_001, id=["1"])
    assert shop.verify() == Verification(0, unchecked=1)


def test_foreign_values_are_not_compared(shop: Shop, plain_client: Any) -> None:
    key = shop.ask("gift", id=["1"])
    other, _right = shop.ask("gift", id=["2"]), shop.ask("gift", id=["3"])
    plain_client.set(key, b"garbage")
    plain_client.delete(other)
    plain_client.rpush(other, "a list")
    plain_client.set(b"cacheaside:entry:\xff", b"not even text")
    plain_client.set("cacheaside:entry:", b"")
    assert shop.verify() == Verification(1)


def test_answer_of_another_question_is_not_reported_as_stale(shop: Shop, plain_client: Any) -> None:
    """Somebody copied it. No write is missing, and readers do not take it for theirs."""
    other = plain_client.get(shop.ask("gift", id=["2"]))
    plain_client.set(shop.ask("gift", id=["1"]), other, px=60_000)
    plain_client.set("cacheaside:entry:{gift:0}", other, px=60_000)
    assert shop.verify() == Verification(1)
