"""Double clicks, lost connections, late answers and other questions: the page says nothing that is not true."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.support.asking import FAILED_REQUEST, Held, Traffic, ask, choose
from tests.browser.support.served import Served
from tests.browser.support.views import PHONE

PRODUCT = "**/queries/product?*"
HIT = {"content-type": "application/json", "cache-status": "cacheaside; hit; ttl=50", "server-timing": "total;dur=1"}


@pytest.fixture
def product(page: Page) -> Page:
    """The page with an answer about product 42."""
    choose(page, "product")
    ask(page)
    expect(page.locator("#psql")).to_contain_text("id = 42")
    return page


def posts(traffic: Traffic) -> int:
    return len([each for each in traffic.requests if each.method == "POST"])


def lose_connection(page: Page, url: str) -> None:
    page.route(url, lambda route: route.abort())


def test_second_click_on_write_sends_no_second_command(product: Page) -> None:
    traffic, held = Traffic(product), Held(product, "**/commands/*")
    button = product.get_by_role("button", name="Write")
    button.click()
    held.wait_for(1)
    button.click(force=True)  # although it is marked as disabled
    button.press("Enter")
    held.release()
    expect(product.locator("#steps li")).to_have_count(3)
    assert posts(traffic) == 1
    expect(button).to_be_focused()
    with product.expect_response("**/commands/*"):
        button.press("Enter")
    assert posts(traffic) == 2


def test_lost_connection_is_not_taken_for_a_change(product: Page, expected_messages: list[str]) -> None:
    expected_messages.append(FAILED_REQUEST)
    product.get_by_role("button", name="Watch for a change").click()
    expect(product.locator("#steps")).to_contain_text("Watching")
    lose_connection(product, PRODUCT)
    expect(product.locator("#steps")).to_contain_text("Nothing can be watched: The server cannot be reached")
    expect(product.locator("#difference")).to_be_hidden()
    expect(product.locator("#watch[aria-disabled]")).to_have_count(0)


def test_watch_ends_when_another_question_is_chosen(product: Page) -> None:
    product.get_by_role("button", name="Watch for a change").click()
    expect(product.locator("#steps")).to_contain_text("Watching")
    product.locator("#parameter-id").fill("43")
    expect(product.locator("#elsewhere")).to_be_hidden()
    expect(product.locator("#steps li")).to_have_count(0)
    product.wait_for_timeout(500)  # longer than a watch pauses
    traffic = Traffic(product)
    product.wait_for_timeout(1000)
    assert traffic.paths == []
    ask(product)
    expect(product.locator("#psql")).to_contain_text("id = 43")
    expect(product.locator("#watch[aria-disabled]")).to_have_count(0)


def test_write_without_an_answer_before_and_after_claims_none(product: Page, expected_messages: list[str]) -> None:
    expected_messages.append(FAILED_REQUEST)
    lose_connection(product, PRODUCT)
    product.get_by_role("button", name="Write").click()
    expect(product.locator("#steps li").last).to_contain_text("the answer cannot be read: The server cannot be reached")
    expect(product.locator("#difference")).to_be_hidden()


def test_answer_that_was_asked_earlier_and_comes_later_is_not_shown(page: Page) -> None:
    choose(page, "product")
    routes: list[Route] = []
    page.route(PRODUCT, lambda route: routes.append(route))
    for _ in range(2):
        page.locator("#ask").click()
    while len(routes) < 2:
        page.wait_for_timeout(20)
    routes[1].fulfill(headers=HIT, body='{"data": "asked later"}')
    expect(page.locator("#body")).to_contain_text("asked later")
    routes[0].fulfill(headers=HIT, body='{"data": "asked earlier"}')
    expect(page.locator("#loads")).to_have_text("0 for 2 requests")
    expect(page.locator("#body")).to_contain_text("asked later")


def test_stale_answer_is_not_promised_again(page: Page) -> None:
    choose(page, "product")
    headers = HIT | {"cache-status": "cacheaside; hit; ttl=-5"}
    page.route(PRODUCT, lambda route: route.fulfill(headers=headers, body='{"data": {}}'))
    ask(page)
    expect(page.locator("#left-words")).to_have_text(
        "Past its time: one request refreshes it now. Ask again for the new answer."
    )


def test_change_of_a_long_answer_is_shown(page: Page) -> None:
    choose(page, "product")
    rows = ",".join(f'{{"id":{number},"name":"row {number}"}}' for number in range(60_000))
    bodies = iter([f'{{"data":[{rows}]}}', f'{{"data":[{rows},{{"id":"new"}}]}}'])
    page.route(PRODUCT, lambda route: route.fulfill(headers=HIT | {"etag": "x"}, body=next(bodies)))
    page.get_by_role("button", name="Write").click()
    expect(page.locator("#difference")).to_contain_text('+ "id": "new"')


def test_enter_sends_no_write_that_has_to_be_signed(
    open_page: Callable[..., Page], served: Served, empty_cache: None
) -> None:
    page = open_page(served.url_with(WRITE_AUTHORIZATION="iam"))
    traffic = Traffic(page)
    page.get_by_label("Command").select_option("set_price")
    price = page.locator("#command-parameter-price")
    price.fill("3.25")
    expect(page.locator("#signed code")).to_contain_text('"price": 3.25')
    price.press("Enter")
    choose(page, "product")
    ask(page)
    assert posts(traffic) == 0


def test_ask_reads_the_catalogue_that_could_not_be_read(
    open_page: Callable[..., Page], served: Served, empty_cache: None, expected_messages: list[str]
) -> None:
    expected_messages.append(FAILED_REQUEST)
    page = open_page(served.url, lambda page: lose_connection(page, "**/queries"))
    expect(page.locator("#headline")).to_contain_text("The catalogue cannot be read")
    page.unroute("**/queries")
    page.locator("#ask").click()
    expect(page.locator("#body")).to_contain_text("PostgreSQL")


def test_refused_token_stays_in_its_field(
    open_page: Callable[..., Page], served: Served, expected_messages: list[str]
) -> None:
    expected_messages.append(FAILED_REQUEST)
    refused = {"status": 401, "json": {"message": "Unauthorized"}}
    page = open_page(served.url, lambda page: page.route("**/queries", lambda route: route.fulfill(**refused)))
    token = page.get_by_label("Bearer token")
    token.fill("expired")
    with page.expect_response("**/queries"):
        token.press("Enter")
    expect(token).to_have_value("expired")
    expect(token).to_be_focused()


@pytest.mark.parametrize("view", [PHONE], ids=["phone"], indirect=True)
def test_long_texts_and_many_tags_do_not_widen_the_page(open_page: Callable[..., Page], served: Served) -> None:
    def with_long_texts(route: Route) -> None:
        listed = route.fetch().json()
        for query in listed["data"]:
            query |= {"summary": "word" * 100, "tags": [f"table_{number}" for number in range(40)] + ["t" * 200]}
        route.fulfill(json=listed)

    page = open_page(served.url, lambda page: page.route("**/queries", with_long_texts))
    expect(page.locator("#tags code")).to_have_count(41)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#tags")).to_contain_text("table_0 table_1 ")
