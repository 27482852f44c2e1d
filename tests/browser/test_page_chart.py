"""The chart of the last calls, and the table beside it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.support.asking import FAILED_REQUEST, ask, ask_until_hit, choose
from tests.browser.support.views import in_both_views
from tests.support.wait_until import wait_until

State = Callable[[Page, str], None]

# Values of Cache-Status, by the names of the chart.
STATUSES = {
    "hit": "cacheaside; hit; ttl=9",
    "stale": "cacheaside; hit; ttl=-9",
    "collapsed": "cacheaside; fwd=miss; collapsed",
    "miss": "cacheaside; fwd=miss; stored",
    "old answer": "cacheaside; fwd=stale; detail=stale-if-error",
    "bypass": "cacheaside; fwd=bypass",
    "without cache": "cacheaside; fwd=request",
}

# What is left of a mark without its colour: its form, its proportions, and whether it is filled.
FORM = """svg => {
  const shape = svg.firstElementChild, box = shape.getBBox(), style = getComputedStyle(shape);
  const corners = (shape.getAttribute('d') ?? '').match(/[-\\d.]+/g) ?? [];
  const isFilled = style.fill === getComputedStyle(svg).color;
  return [shape.tagName, corners.length, (box.width / box.height).toFixed(1), isFilled].join()
}"""


@pytest.fixture
def every_kind(page: Page, expected_messages: list[str]) -> Page:
    """The page after a call of each kind. The answers are the server's, with another Cache-Status."""
    expected_messages.append(FAILED_REQUEST)
    statuses = iter([*STATUSES.values()])

    def relabel(route: Route) -> None:
        status = next(statuses, None)
        if status is None:
            return route.fulfill(status=503, json={"message": "Service Unavailable"})
        response = route.fetch()
        return route.fulfill(response=response, headers=response.headers | {"cache-status": status})

    choose(page, "product")
    page.route("**/queries/product?*", relabel)
    page.route("**/direct?*", lambda route: route.abort())
    for _ in range(len(STATUSES) + 1):
        ask(page)
    return page


def marks(page: Page) -> Locator:
    return page.locator("#chart .mark")


@in_both_views
def test_kinds_are_told_apart_without_colours(every_kind: Page, state: State) -> None:
    legend = every_kind.locator("#legend li")
    names = [re.sub(r" \d+$", "", text) for text in legend.all_text_contents()]
    assert sorted(names) == sorted([*STATUSES, "error"])
    forms = legend.locator("svg").evaluate_all(f"all => all.map({FORM})")
    assert len(set(forms)) == len(names), dict(zip(names, forms, strict=True))
    state(every_kind, "every-kind")


def test_chart_and_table_have_the_same_calls(every_kind: Page) -> None:
    every_kind.get_by_text("The same as a table").click()
    told = [mark.get_attribute("aria-label") or "" for mark in marks(every_kind).all()]
    rows = every_kind.locator("#rows tr").all()
    assert len(told) == len(rows)
    for label, row in zip(reversed(told), rows, strict=True):  # the newest is the first row, and the last mark
        time, path, source, age, server, _browser = row.locator("td").all_text_contents()
        assert label.startswith(f"{time} {source}: "), label
        assert label.endswith(path), label
        assert f"{server} at the server" in label
        assert not age or f"age {age}" in label


def test_sixty_calls_are_kept(page: Page, state: State) -> None:
    choose(page, "product")
    for _ in range(3):
        page.get_by_role("button", name="×20").click()
        expect(page.locator("#series")).to_contain_text("20 requests in")
        page.locator("#series").evaluate("each => each.textContent = ''")
    expect(marks(page)).to_have_count(60)
    expect(page.locator("#legend")).to_contain_text("miss 1")
    ask(page)
    expect(marks(page)).to_have_count(60)
    expect(page.locator("#rows tr")).to_have_count(60)
    expect(page.locator("#legend")).not_to_contain_text("miss")  # the first of all is no longer there
    state(page, "sixty-calls")


def height(page: Page, kind: str) -> float:
    """Return how high the last mark of its kind is in the picture, as a share of its scale."""
    stem = page.locator(f"#chart .mark.{kind} .stem").last
    return float(stem.get_attribute("y1") or 0) - float(stem.get_attribute("y2") or 0)


def test_scale_is_linear_until_it_is_switched(page: Page, state: State) -> None:
    def is_low() -> bool:
        """Ask once more: one hit may be slow by chance."""
        ask_until_hit(page)
        return height(page, "hit") < height(page, "miss") / 20

    wait_until(is_low)  # a thousandth of the time looks no longer than it is
    labels = page.locator("#chart text.tick")
    assert labels.all_text_contents()[0] == "0"
    page.get_by_label("logarithmic scale").check()
    assert labels.all_text_contents()[0] == "0.1 ms"
    assert height(page, "miss") / 20 < height(page, "hit") < height(page, "miss")
    state(page, "logarithmic")
    page.get_by_label("logarithmic scale").uncheck()
    assert labels.all_text_contents()[0] == "0"


@in_both_views
def test_pointer_and_arrow_keys_show_a_call(page: Page, state: State) -> None:
    choose(page, "product")
    ask(page)
    ask(page)
    detail = page.locator("#detail")
    page.locator("#chart").scroll_into_view_if_needed()
    box = page.locator("#chart .mark.miss .target").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    expect(detail).to_contain_text("miss: PostgreSQL was asked")
    expect(detail).to_contain_text("/queries/product?id=42")
    page.get_by_label("logarithmic scale").focus()
    page.keyboard.press("Tab")  # one stop for all marks
    expect(marks(page).last).to_be_focused()
    page.keyboard.press("Home")
    expect(marks(page).first).to_be_focused()
    expect(detail).to_have_text(marks(page).first.get_attribute("aria-label") or "")
    for number in range(1, marks(page).count()):
        page.keyboard.press("ArrowRight")
        expect(marks(page).nth(number)).to_be_focused()
        expect(detail).to_have_text(marks(page).nth(number).get_attribute("aria-label") or "")
    page.keyboard.press("ArrowRight")  # there is none: the focus stays
    expect(marks(page).last).to_be_focused()
    state(page, "focused-mark")


def test_focus_stays_on_a_mark_when_the_next_call_comes(page: Page) -> None:
    choose(page, "product")
    ask(page)
    page.locator("#series").evaluate("() => document.querySelector('#chart .mark').focus()")
    before = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.evaluate("document.querySelector('#form').requestSubmit()")
    expect(page.locator("#legend")).to_contain_text("hit 1")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == before
