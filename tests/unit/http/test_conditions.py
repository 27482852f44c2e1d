"""Conditions that a generator writes: the list is parsed as it was written, and no text raises or takes long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.errors import PreconditionFailed
from cacheaside.http.conditions import conditional
from cacheaside.http.messages import Response

ETAG = '"a"'
OPAQUE = st.text(alphabet="a,*W/#~é", max_size=2)
TAGS = st.lists(st.tuples(st.sampled_from(["", "W/"]), OPAQUE.map(lambda opaque: f'"{opaque}"')))
SEPARATOR = st.from_regex(r"[ \t]{0,2},[ \t,]{0,3}", fullmatch=True)
EDGE = st.text(alphabet=" \t,", max_size=3)


def status(**request_headers: str) -> int:
    headers = {name.replace("_", "-"): value for name, value in request_headers.items()}
    try:
        return conditional(Response(200, {"ETag": ETAG}), headers).status
    except PreconditionFailed:
        return 412


@given(TAGS, SEPARATOR, EDGE, EDGE)
def test_a_list_is_read_as_it_was_written(tags: list[tuple[str, str]], separator: str, before: str, after: str) -> None:
    field = before + separator.join(weak + tag for weak, tag in tags) + after
    assert status(if_none_match=field) == (304 if ETAG in [tag for _, tag in tags] else 200)
    assert status(if_match=field) == (200 if ("", ETAG) in tags else 412)


@given(st.text(alphabet='"aW/*, \t', max_size=30) | st.text())
def test_no_text_raises_another_error(field: str) -> None:
    assert status(if_none_match=field) in (200, 304)
    assert status(if_match=field) in (200, 412)
