"""Query strings that a generator writes: each text arrives as it was, and no query string raises another error."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.errors import BadParameters
from cacheaside.http.requests import query_parameters

TEXT = st.text(st.characters(codec="utf-8"))


def parsed(query_string: str) -> dict[str, list[str]]:
    return query_parameters(query_string)


@given(TEXT, st.lists(TEXT, min_size=1))
def test_every_text_arrives_as_it_was(name: str, values: list[str]) -> None:
    for encode in (quote, quote_plus):
        query_string = "&".join(f"{encode(name, safe='')}={encode(value, safe='')}" for value in values)
        assert parsed(query_string) == {name: values}


@given(st.text(alphabet="%=&+;%C3A9zF0 é\ud800", max_size=20))
def test_no_query_string_raises_another_error(query_string: str) -> None:
    try:
        parameters = parsed(query_string)
    except BadParameters as error:
        str(error).encode()
        return
    assert "\ufffd" not in str(parameters)
