"""The page without a mouse."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.support.asking import choose, settled
from tests.browser.support.views import in_both_views

State = Callable[[Page, str], None]


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus, which must be seen."""
    target = page.locator(selector)
    for _ in range(40):
        page.keyboard.press("Tab")
        if target.evaluate("each => each === document.activeElement"):
            assert target.evaluate("each => each.matches(':focus-visible')")
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_enter_twice_asks_twice_and_the_button_keeps_the_focus(page: Page) -> None:
    expect(page.get_by_label("Question", exact=True)).to_have_value("version")
    tab_to(page, "#ask")
    for name in ("Ask", "Ask again"):
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Ask again")).to_be_visible()
        settled(page)
    expect(page.get_by_role("button", name="Ask again")).to_be_focused()
    expect(page.locator("#headline")).to_contain_text("times faster")


@in_both_views
def test_whole_walk_needs_no_mouse(page: Page, state: State) -> None:
    expect(page.get_by_label("Question", exact=True)).to_have_value("version")
    tab_to(page, "#query")
    page.keyboard.type("product")
    expect(page.get_by_label("Question", exact=True)).to_have_value("product")
    tab_to(page, "#parameter-id")
    page.keyboard.press("Control+A")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(page.locator("#body")).to_contain_text('"sku": "SKU-0000007"')
    settled(page)
    tab_to(page, "#ask")
    page.keyboard.press("Enter")
    expect(page.locator("#headline")).to_contain_text("instead of")
    settled(page)
    tab_to(page, "#in-turn")
    page.keyboard.press("Enter")
    expect(page.locator("#series")).to_contain_text("20 from the cache")
    expect(page.locator("#in-turn")).to_be_focused()
    tab_to(page, "#invalidate")
    page.keyboard.press("Space")
    expect(page.locator("#left-words")).to_contain_text("Invalidated")
    tab_to(page, "#logarithmic")
    page.keyboard.press("Space")
    tab_to(page, "#chart .mark:last-of-type")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#detail")).to_contain_text("/queries/product?id=7")
    tab_to(page, "summary")
    page.keyboard.press("Enter")
    expect(page.locator("#rows tr").first).to_be_visible()
    tab_to(page, "#body")
    tab_to(page, "#command")
    page.keyboard.type("set")
    expect(page.get_by_label("Command")).to_have_value("set_price")
    tab_to(page, "#command-parameter-id")
    page.keyboard.press("Control+A")
    page.keyboard.type("7")
    tab_to(page, "#command-parameter-price")
    page.keyboard.press("Control+A")
    page.keyboard.type("12.30")
    tab_to(page, "#run-command")
    page.keyboard.press("Enter")
    expect(page.locator("#steps li")).to_have_count(3)
    expect(page.locator("#run-command")).to_be_focused()
    expect(page.locator("#body")).to_contain_text('"price": 12.30')
    tab_to(page, "#watch")
    state(page, "whole-walk")


def test_focus_is_never_lost_to_the_document(page: Page) -> None:
    """A control that is removed or disabled while it has the focus would send the reader back to the top."""
    choose(page, "product")
    for selector in ("#ask", "#ask", "#in-turn", "#at-once", "#invalidate", "#run-command"):
        control = page.locator(selector)
        control.focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(200)
        settled(page)
        expect(control).to_be_focused()
