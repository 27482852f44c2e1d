"""A pattern in the syntax of ECMA-262 matches the same texts as RE2 does, or there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import validator_for

from cacheaside.catalogue.patterns import Pattern
from cacheaside.http.ecma_pattern import ecma_pattern

PATTERNS = [
    *(r"\d{3,5}", r"[A-Z]{2}-\d+", r"\w+@[\w.-]+", r"\s*x\s?", r"[^\s,]*", r"\S\D\W", r"a.c", r"a|bc", r"(?:ab)*c?"),
    *(r"[\w-.]+", "[^-_]", "[-b]", r"[^\d-b]", r"[\s-]", r"[\w-\d]", r"[\d--.]", r"[a\-c]", r"(?:^a)*", r"\b\^*"),
    *(r"[]a]+", r"[^]a]", r"[^^]", r"[a^-]", r"[[^a]", r"\x41\-\@\.", r"a{2}b{", r"x}", r"]", r"\Aab\z", r"\t\n"),
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text(alphabet="abcxA1-@.,^[]{}\t\n é٤\u2028", max_size=4))
def test_both_match_the_same_texts(pattern: str, text: str) -> None:
    written = ecma_pattern(pattern)
    assert written is not None
    # The validator has the syntax of ECMA-262, and neither does its $ match before a line break.
    assert validator_for({"pattern": written}).is_valid(text) == Pattern.parse(pattern).matches(text)


@pytest.mark.parametrize(
    "pattern", ["(?i)a", r"\pL", r"[[:alpha:]]", r"(?P<a>b)", r"\Qa.b\E", r"\x{e9}", r"[^\S]", "a|^*", r"\b+", "${2}"]
)
def test_what_json_schema_cannot_say_has_no_pattern(pattern: str) -> None:
    Pattern.parse(pattern)
    assert ecma_pattern(pattern) is None


def test_no_pattern_admits_nul() -> None:
    for pattern in (".", "[^a]", r"\D", r"\S", r"\W"):
        assert not validator_for({"pattern": ecma_pattern(pattern)}).is_valid("\0")
