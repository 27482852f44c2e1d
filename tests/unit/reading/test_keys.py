"""The keys of a question."""

from __future__ import annotations

from cacheaside.reading.keys import query_name, question_keys


def test_key_of_an_entry_tells_the_query() -> None:
    assert query_name(question_keys("top_products", b"\x9f\x8e", ()).entry) == "top_products"
