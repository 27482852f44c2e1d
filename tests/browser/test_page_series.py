"""Twenty requests, one after the other and at once, and the time that an answer is fresh."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.support.asking import Held, Traffic, ask, choose, settled
from tests.browser.support.views import in_both_views
from tests.support.wait_until import wait_until

State = Callable[[Page, str], None]


def summary(page: Page) -> str:
    """Return what the page says about a series, once that is over."""
    expect(page.locator("#series")).to_have_text(re.compile(r"^20 requests in .+: .+\.$"))
    return page.locator("#series").inner_text()


def test_twenty_in_turn_are_one_load(page: Page, state: State) -> None:
    traffic = Traffic(page)
    choose(page, "product")
    button = page.get_by_role("button", name="×20")
    button.focus()
    page.keyboard.press("Enter")
    assert summary(page).endswith("1 load of PostgreSQL, 19 from the cache.")
    assert traffic.statuses(traffic.cached) == {"cacheaside; fwd=miss": 1, "cacheaside; hit": 19}
    expect(page.locator("#loads")).to_have_text("1 for 20 requests")
    expect(button).to_be_focused()
    state(page, "twenty-in-turn")


@in_both_views
def test_twenty_at_once_wait_for_one_load(page: Page, state: State) -> None:
    """The first time starts the sandboxes. The second time they are there, so requests wait for the load."""
    page.get_by_role("button", name="20 at once").click()
    summary(page)
    page.get_by_role("button", name="Invalidate").click()
    expect(page.locator("#left-words")).to_contain_text("Invalidated in")
    page.locator("#series").evaluate("each => each.textContent = ''")
    traffic = Traffic(page)
    page.get_by_role("button", name="20 at once").click()
    expect(page.locator("#series")).to_contain_text("20 requests are on their way")
    told = summary(page)
    counts = traffic.statuses(traffic.cached)
    assert counts["cacheaside; fwd=miss"] == 1
    collapsed = counts["cacheaside; fwd=miss; collapsed"]
    assert collapsed > 0
    assert f": 1 load of PostgreSQL, {collapsed} waited for a load, " in told
    expect(page.locator("#legend")).to_contain_text("collapsed")
    state(page, "twenty-at-once")


def test_second_series_waits_for_the_end_of_the_first(page: Page) -> None:
    traffic = Traffic(page)
    choose(page, "product")
    page.get_by_role("button", name="×20").dblclick()
    page.get_by_role("button", name="20 at once").click()
    summary(page)
    assert len(traffic.cached) == 20


@in_both_views
def test_countdown_ends_in_a_stale_answer_and_its_refresh(page: Page, state: State) -> None:
    choose(page, "short_lived")
    ask(page)
    ask(page)
    words = page.locator("#left-words")
    expect(words).to_contain_text(re.compile("Stale for (59|5\\d|1 min|60) ?s? .*the next request gets it at once"))
    state(page, "past-its-time")
    old = page.locator("#body").inner_text()
    answer = ask(page)
    assert "; hit; ttl=-" in answer.headers["cache-status"]
    expect(page.locator("#cached")).to_contain_text("from the cache, past its time; one request refreshes it now")
    expect(page.locator("#cached")).to_have_class(re.compile(r"\bstale\b"))
    expect(page.locator("#headline")).to_contain_text("Old answer at once, refreshed afterwards")
    expect(page.locator("#body")).to_have_text(old)
    state(page, "stale")

    def is_new() -> bool:
        ask(page)
        return page.locator("#body").inner_text() != old

    wait_until(is_new)  # the refresh is done after the response
    expect(page.locator("#legend")).to_contain_text("stale")


def test_countdown_is_not_read_aloud_every_second(page: Page) -> None:
    choose(page, "product")
    ask(page)
    ask(page)
    words = page.locator("#left-words")
    expect(words).to_contain_text("Fresh for")
    first = words.inner_text()
    expect(words).not_to_have_text(first)
    assert words.evaluate("each => each.closest('[role=status], [role=alert], [aria-live]') === null")


def test_series_does_not_answer_a_question_that_is_no_longer_asked(page: Page) -> None:
    choose(page, "product")
    held = Held(page, "**/queries/product?*")
    page.get_by_role("button", name="×20").click()
    held.wait_for(1)
    choose(page, "exact")
    held.release()
    settled(page)
    expect(page.locator("#loads")).to_have_text("1 for 1 request")  # counted, and the other 19 are not sent
    expect(page.locator("#series")).to_have_text("")
    expect(page.get_by_label("Question", exact=True)).to_have_value("exact")
    expect(page.locator("#body")).to_be_hidden()
    expect(page.locator("#headline")).to_have_text("Ask PostgreSQL a slow question. Then ask again.")
    expect(page.locator("#cached")).to_contain_text("not asked yet")
