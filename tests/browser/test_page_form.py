"""The form of a query: a control for each type, and each problem at the field that it is about."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.support.asking import FAILED_REQUEST, Traffic, ask, choose, settled
from tests.browser.support.views import in_both_views

State = Callable[[Page, str], None]


@pytest.fixture
def form(page: Page) -> Page:
    choose(page, "every_type")
    return page


def field(page: Page, name: str) -> Locator:
    return page.locator(f"#parameter-{name}")


def sent(page: Page) -> dict[str, list[str]]:
    """Ask, and return the values in the URL."""
    return parse_qs(urlsplit(ask(page).url).query, keep_blank_values=True)


@in_both_views
def test_each_type_has_its_control_with_the_default(form: Page, state: State) -> None:
    def values(names: str) -> list[tuple[str, str]]:
        return [
            (field(form, name).get_attribute("type") or "", field(form, name).input_value()) for name in names.split()
        ]

    assert field(form, "flag").locator("option").all_text_contents() == ["(none)", "true", "false"]
    assert field(form, "size").locator("option").all_text_contents() == ["(none)", "s", "m", "l"]
    assert [field(form, name).input_value() for name in ("flag", "size", "words")] == ["true", "m", ""]
    assert values("day at") == [("date", "2025-06-15"), ("datetime-local", "2025-06-15T10:30")]
    assert values("few price") == [("number", "5"), ("number", "1.5")]
    assert values("code key") == [("text", "ab"), ("text", "")]
    expect(form.get_by_role("group", name="sizes").get_by_role("checkbox")).to_have_count(3)
    expect(form.locator("#parameter-at-hint")).to_contain_text("in UTC")
    expect(form.locator("#parameter-few-hint")).to_contain_text("1 to 10")
    state(form, "every-type")


def test_integer_of_64_bits_is_not_rounded(form: Page) -> None:
    """JavaScript would make 9007199254740992 of the default, and ask another question than curl does."""
    assert field(form, "count").input_value() == "9007199254740993"
    assert sent(form)["count"] == ["9007199254740993"]
    expect(form.locator("#body")).to_contain_text('"count": 9007199254740993')
    field(form, "count").fill("-9223372036854775808")
    assert sent(form)["count"] == ["-9223372036854775808"]
    expect(form.locator("#body")).to_contain_text('"count": -9223372036854775808')


def test_values_are_sent_as_they_were_typed(form: Page) -> None:
    field(form, "flag").select_option("false")
    field(form, "day").fill("2025-02-28")
    field(form, "at").fill("2025-01-02T03:04:05")
    field(form, "size").select_option("l")
    form.get_by_label("s", exact=True).check()
    form.get_by_label("l", exact=True).check()
    field(form, "few").fill("10")
    field(form, "price").fill("25.50")
    field(form, "words").fill("one, with a comma\n\n two & three \n")
    field(form, "key").fill("0e37df36-f698-11e6-8dd4-cb9ced3df976")
    assert sent(form) == {
        "flag": ["false"],
        "day": ["2025-02-28"],
        "at": ["2025-01-02T03:04:05Z"],
        "size": ["l"],
        "sizes": ["s", "l"],
        "count": ["9007199254740993"],
        "few": ["10"],
        "price": ["25.50"],
        "code": ["ab"],
        "words": ["one, with a comma", "two & three"],
        "key": ["0e37df36-f698-11e6-8dd4-cb9ced3df976"],
    }
    for shown in ('"flag": false', '"at": "2025-01-02T03:04:05+00:00"', '"one, with a comma"'):
        expect(form.locator("#body")).to_contain_text(shown)


def test_optional_value_that_is_empty_is_not_sent(form: Page) -> None:
    field(form, "few").fill("")
    field(form, "flag").select_option("(none)")
    assert {"few", "flag", "sizes", "words", "key"}.isdisjoint(sent(form))
    expect(form.locator("#body")).to_contain_text('"few": 5')


@in_both_views
def test_wrong_values_are_explained_at_their_fields(form: Page, expected_messages: list[str], state: State) -> None:
    expected_messages.append(FAILED_REQUEST)
    wrong = {
        "few": ("11", "few must be at most 10, not '11'"),
        "code": ("AB", "code must match [a-z]+, not 'AB'"),
        "words": ("1\n2\n3\n4", "words must have at most 3 items, not 4"),
        "key": ("no", "key must be a UUID"),
    }
    for name, (value, _) in wrong.items():
        field(form, name).fill(value)
    form.get_by_role("button", name="Ask", exact=True).click()
    for name, (_, message) in wrong.items():
        expect(form.locator(f"#parameter-{name}-problem")).to_contain_text(message)
        expect(field(form, name)).to_have_attribute("aria-invalid", "true")
        assert f"parameter-{name}-problem" in (field(form, name).get_attribute("aria-describedby") or "")
    expect(field(form, "few")).to_be_focused()
    expect(form.locator(".problem:visible")).to_have_count(len(wrong))
    expect(form.locator("#headline")).to_contain_text("No answer: Parameters are missing or wrong")
    settled(form)
    state(form, "wrong-values")
    for name, value in {"few": "10", "code": "abc", "words": "1", "key": ""}.items():
        field(form, name).fill(value)
    ask(form)
    expect(form.locator(".problem:visible")).to_have_count(0)
    expect(form.locator("[aria-invalid]")).to_have_count(0)
    expect(form.locator("#ask")).to_have_text("Ask again")


@pytest.mark.parametrize(("name", "keys", "message"), [("day", "06", "not complete"), ("at", "06", "not complete")])
def test_half_a_date_is_not_taken_for_none(form: Page, name: str, keys: str, message: str) -> None:
    traffic = Traffic(form)
    field(form, name).fill("")
    field(form, name).focus()
    form.keyboard.type(keys)
    form.get_by_role("button", name="Ask", exact=True).click()
    expect(form.locator(f"#parameter-{name}-problem")).to_contain_text(message)
    expect(field(form, name)).to_have_attribute("aria-invalid", "true")
    expect(field(form, name)).to_be_focused()
    assert traffic.requests == []


def test_letters_in_a_number_are_a_problem_and_not_the_default(form: Page) -> None:
    field(form, "few").fill("")
    field(form, "few").focus()
    form.keyboard.type("1e")
    traffic = Traffic(form)
    form.get_by_role("button", name="Ask", exact=True).click()
    expect(form.locator("#parameter-few-problem")).to_contain_text("not a whole number")
    assert traffic.requests == []
