"""A stale answer is logged so that its question can be asked again, without the text that a caller wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.invalidation.verification import StaleAnswer, loggable
from cacheaside.reading.question import Question

ID = "0e37df36-f698-11e6-8dd4-cb9ced3df976"


@pytest.mark.parametrize(
    ("declared", "given", "logged"),
    [
        ('"integer"', ["-7"], -7),
        ('"number"', ["9.90"], "9.9"),
        ('"boolean"', ["true"], True),
        ('"date"', ["2024-12-31"], "2024-12-31"),
        ('"timestamp"', ["2024-12-31T23:59"], "2024-12-31T23:59:00Z"),
        ('"uuid"', [ID], ID),
        ('"enum", values = ["a", "b"]', ["b"], "b"),
        ('"integer[]"', ["1", "2"], [1, 2]),
        ('"text"', ["Ada Lovelace"], "<12 characters>"),
        ('"text"', [""], "<0 characters>"),
        ('"text[]"', ["Ada", "ø"], ["<3 characters>", "<1 characters>"]),
        ('"integer", source = "claim:sub"', ["7"], "<1 characters>"),
        ('"uuid", source = "claim:sub"', [ID], "<36 characters>"),
    ],
)
def test_text_and_claims_of_a_caller_are_logged_as_their_length_and_other_values_as_they_are(
    tmp_path: Path, declared: str, given: list[str], logged: object
) -> None:
    path = tmp_path / "queries" / "q.sql"
    path.parent.mkdir()
    path.write_text(f"""\
-- summary = "A query"
-- ttl = "1m"
-- tags = ["orders"]
-- params.value = {{ type = {declared} }}
-- params.other = {{ type = "text", required = false }}
select %(value)s, %(other)s from orders
""")
    query = Catalogue.load(tmp_path).query("q")
    assert loggable(Question(query, bind_text(query.parameters, {"value": given}, None))) == {"value": logged}


def test_stale_answer_reads_as_a_call_with_its_age() -> None:
    answer = StaleAnswer("products", {"id": 42, "name": "<3 characters>"}, "key", 89.6)
    assert str(answer) == "products(id=42, name=<3 characters>), 90 s old"
