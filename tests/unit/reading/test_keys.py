"""The keys of a question."""

from __future__ import annotations

from cacheaside.reading.keys import Keys, query_name, question_keys


def test_entry_and_lease_of_a_question_share_a_slot() -> None:
    keys = question_keys("top", b"\x9f\x8e", ("sales", "products:42"))
    tags = ("cacheaside:tag:sales", "cacheaside:tag:products:42")
    assert keys == Keys("top", "cacheaside:entry:{top:9f8e}", "cacheaside:lease:{top:9f8e}", tags)


def test_key_of_an_entry_tells_the_query() -> None:
    assert query_name(question_keys("top_products", b"\x9f\x8e", ()).entry) == "top_products"
