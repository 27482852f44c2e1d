"""Patterns: no text makes one run away, and a pattern that cannot be kept is an error of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.errors import BadParameters, CatalogueError
from tests.support.linear_work import is_linear

Accepts = Callable[[str], bool]


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Accepts]:
    """Loads a query with a parameter of this pattern, written as TOML. Returns whether it accepts a value."""

    def load(pattern: str) -> Accepts:
        (tmp_path / "queries").mkdir()
        header = (
            f'-- summary = "s"\n-- tags = []\n-- ttl = "1s"\n-- params.p = {{ type = "text", pattern = {pattern} }}\n'
        )
        (tmp_path / "queries" / "q.sql").write_text(f"{header}select %(p)s")
        parameters = Catalogue.load(tmp_path).query("q").parameters

        def accepts(value: str) -> bool:
            try:
                return bind_text(parameters, {"p": [value]}) == {"p": value}
            except BadParameters:
                return False

        return accepts

    return load


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "a*a*a*a*a*a*a*b", r"(\w+\s?)*b", "(.*a){20}b"])
def test_no_text_makes_a_pattern_run_away(load: Callable[[str], Accepts], pattern: str) -> None:
    accepts = load(f"'{pattern}'")

    def refuse(length: int) -> None:
        assert not accepts("a" * length + "c")

    assert is_linear(refuse, 20_000)


@pytest.mark.parametrize(
    ("pattern", "value", "accepted"),
    [
        ("[a-z]+", "abc", True),
        ("[a-z]+", "abc1", False),
        ("[a-z]+", "abc\n", False),
        ("a|ab", "ab", True),
        (r"\d+", "42", True),
        (r"\d+", "٤٢", False),
        (r"\w", "é", False),
        (r"\s", "\u00a0", False),
        (".", "🙈", True),
        (".", "\n", False),
        ("^a$", "a", True),
        ("(?i)é", "É", True),
        ("[a-z0-9]+(-[a-z0-9]+)*", "a-slug-of-3", True),
        (r"\pL+", "Ærø", True),
    ],
)
def test_the_whole_text_must_match_and_classes_are_ascii(
    load: Callable[[str], Accepts], pattern: str, value: str, accepted: bool
) -> None:
    assert load(f"'{pattern}'")(value) is accepted


@pytest.mark.parametrize("pattern", ["'[a'", "'(?<=a)b'", r"'(a)\1'", "'a{2000}'", "5", "true", "['a']"])
def test_a_pattern_that_cannot_be_kept_is_an_error_of_its_file(
    load: Callable[[str], Accepts], pattern: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CatalogueError, match=r"q.sql:4: params.p: pattern .*(of RE2: (?!None)\w+|must be a text)"):
        load(pattern)
    assert capfd.readouterr().err == "", "RE2 logs an error by default"
