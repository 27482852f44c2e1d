"""Parameters in the URL: what is not UTF-8 in percent-encoding is refused, and never replaced or guessed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.problem_document import check_problem


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("%FF", id="no UTF-8"),
        pytest.param("a%C3", id="cut off"),
        pytest.param("%C0%AF", id="overlong"),
        pytest.param("%E0%80%80", id="overlong NUL"),
        pytest.param("%ED%A0%80", id="half a surrogate pair"),
        pytest.param("%F4%90%80%80", id="above U+10FFFF"),
        pytest.param("100%", id="percent at the end"),
        pytest.param("%4", id="half a byte"),
        pytest.param("%zz", id="no digits"),
        pytest.param("%u20AC", id="encoding of old scripts"),
        pytest.param("%+1", id="sign"),
        pytest.param("%FF" * 3000, id="long"),
    ],
)
def test_text_that_cannot_be_decoded_is_refused(echo: Any, text: str) -> None:
    for query_string in (f"q={text}", f"{text}=1", f"q=a&q={text}", text):
        answer = echo.get(f"/queries/echo?{query_string}")
        assert "percent-encoding" in check_problem(answer, 400)["detail"]
        assert "\ufffd" not in answer.body.decode()
        assert len(answer.body) < 1000


def test_nul_is_refused(echo: Any) -> None:
    for query_string in ("q=a%00b", "a%00b=1"):
        assert check_problem(echo.get(f"/queries/echo?{query_string}"), 400)["type"] == "/docs#bad-parameters"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            ("a+b", "a b"),
            ("a%2Bb", "a+b"),
            ("a;b", "a;b"),
            ("a=b", "a=b"),
            ("%e2%82%ac", "€"),
            ("", ""),
            ("%25zz", "%zz"),
        ),
        *(("a%26b", "a&b"), ("%EF%BF%BD", "\ufffd"), ("%EF%BB%BFa", "\ufeffa"), ("%F0%9F%99%88", "🙈"), ("%0A", "\n")),
    ],
)
def test_every_other_text_arrives(echo: Any, text: str, value: str) -> None:
    assert echo.get(f"/queries/echo?q={text}").json["data"]["q"] == value
    assert echo.get(f"/queries/echo?&%71={text}&").json["data"]["q"] == value


def test_thousands_of_unknown_parameters_are_counted(echo: Any) -> None:
    answer = echo.get("/queries/echo?" + "&".join(f"{'x' * 60}{number}=1" for number in range(3000)))
    document = check_problem(answer, 400)
    assert (len(document["errors"]), "and 2995 more" in document["detail"]) == (5, True)
    assert len(answer.body) < 4000
