"""A query that depends on who asks: the pages have no input for it, and send the token."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.support.served import Served
from tests.support.tokens import bearer

MINE = """\
-- summary = "Who asks"
-- ttl     = "60s"
-- returns = "one"
-- tags    = []
-- params.user = { type = "text", source = "claim:sub", description = "who asks" }
select %(user)s as "user"
"""
State = Callable[[Page, str], None]


@pytest.fixture
def url(served: Served, empty_cache: None, expected_messages: list[str]) -> Iterator[str]:
    """The API with a query that answers who asks."""
    expected_messages.append(re.escape("[DOM] Password field is not contained in a form"))  # of Chromium, to developers
    query = served.catalogue / "queries" / "mine.sql"
    query.write_text(MINE)
    yield served.url
    query.unlink()


def test_the_page_asks_for_a_token_and_not_for_the_value(
    open_page: Callable[..., Page], url: str, state: State
) -> None:
    page = open_page(url)
    page.get_by_label("Question", exact=True).select_option("mine")
    expect(page.locator("#parameters")).to_have_text("userwho asks; the claim sub of the bearer token")
    expect(page.locator("#parameters").locator("input, select, textarea")).to_have_count(0)
    expect(page.locator("#invalidate")).to_be_hidden()
    page.get_by_label("Bearer token").fill(bearer(sub="ada").removeprefix("Bearer "))
    page.locator("#ask").click()
    expect(page.locator("#body")).to_contain_text('"user": "ada"')
    state(page, "claim")


def test_the_documentation_says_where_the_value_comes_from(open_page: Callable[..., Page], url: str) -> None:
    page = open_page(f"{url}/docs")
    section = page.locator("#query_mine")
    expect(section.get_by_role("region", name="Parameters of mine")).to_contain_text(
        "the claim sub of the bearer token; a request cannot choose it"
    )
    expect(section.locator("code", has_text="Bearer $TOKEN").first).to_be_visible()
    page.get_by_label("Bearer token").fill(bearer(sub="ada").removeprefix("Bearer "))
    section.get_by_role("button", name="Send").click()
    expect(section.get_by_role("region", name="Response body of query_mine")).to_contain_text('"user": "ada"')
    page.locator("#invalidate--choice").select_option("mine")
    expect(page.locator("#invalidate").get_by_label("user", exact=True)).to_be_visible()
