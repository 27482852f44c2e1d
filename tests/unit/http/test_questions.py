"""The questions of requests: what was asked before is not parsed again, and no request gets the question of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.errors import BadParameters, Unauthenticated, UnknownStatement, WrongClaim
from cacheaside.http import questions
from cacheaside.http.questions import Questions
from tests.support.root import FUNCTIONS


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue.load(FUNCTIONS / "catalogue")


def test_the_same_url_is_parsed_once(catalogue: Catalogue) -> None:
    asked = Questions(catalogue)
    assert asked.of("product", "id=1") is asked.of("product", "id=1")
    assert asked.of("product", "id=2").values == {"id": 2}


def test_a_refusal_is_not_kept(catalogue: Catalogue) -> None:
    asked = Questions(catalogue)
    for _ in range(2):
        with pytest.raises(BadParameters):
            asked.of("product", "id=x")
        with pytest.raises(UnknownStatement):
            asked.of("no_such", "id=1")


def test_a_query_that_was_replaced_has_new_questions(catalogue: Catalogue) -> None:
    queries = dict(catalogue.queries)
    asked = Questions(catalogue._replace(queries=queries))
    before = asked.of("product", "id=1")
    queries["product"] = queries["product"]._replace(sql="select 1")
    assert asked.of("product", "id=1").digest != before.digest


def test_the_memory_for_questions_is_bounded(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "_KEPT_AT_MOST", 3)
    asked = Questions(catalogue)
    for number in range(1, 50):
        assert asked.of("product", f"id={number}").values == {"id": number}
        assert len(asked._kept) <= 3
    kept = dict(asked._kept)
    assert asked.of("product", "id=1&" + "&" * 1_000).values == {"id": 1}
    assert asked._kept == kept, "a long query string is not kept"


def test_no_caller_gets_the_question_of_another(tmp_path: Path) -> None:
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "mine.sql").write_text(
        '-- summary = "Mine"\n-- ttl = "1m"\n-- tags = []\n-- params.user = { type = "text", source = "claim:sub" }\n'
        "select %(user)s"
    )
    asked = Questions(Catalogue.load(tmp_path))
    ada, bob = (asked.of("mine", "", {"sub": name, "iat": "1"}) for name in ("ada", "bob"))
    assert (ada.values, bob.values) == ({"user": "ada"}, {"user": "bob"})
    assert ada.digest != bob.digest
    assert asked.of("mine", "", {"sub": "ada", "iat": "2"}) is ada, "other claims make no other question"
    with pytest.raises(Unauthenticated):
        asked.of("mine", "")
    with pytest.raises(WrongClaim):
        asked.of("mine", "", {"iat": "1"})
