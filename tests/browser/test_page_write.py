"""Writes, by a command, by an invalidation, and by psql: the answer leaves the cache, and the new one is seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.support.asking import FAILED_REQUEST, Traffic, ask, ask_until_hit, choose
from tests.browser.support.served import Served
from tests.browser.support.views import in_both_views

State = Callable[[Page, str], None]

FORMER_PRICE = "update products set price = 10.00 where id = 42"


@pytest.fixture(autouse=True)
def former_price(psql: Callable[[str], None], drained: Callable[[], None]) -> Iterator[None]:
    """The price before and after a test. The answers of the next test are not invalidated by this change."""
    psql(FORMER_PRICE)
    drained()
    yield
    psql(FORMER_PRICE)
    drained()


@pytest.fixture
def product(page: Page) -> Page:
    """The page with a cached answer about product 42, and the command that changes its price."""
    return cached_product(page)


def cached_product(page: Page) -> Page:
    choose(page, "product")
    ask_until_hit(page)
    expect(page.locator("#body")).to_contain_text('"price": 10.00')
    if page.locator("#command-form").is_visible():
        page.get_by_label("Command").select_option("set_price")
    return page


def price(page: Page, text: str) -> None:
    page.locator("#command-parameter-price").fill(text)


def write(page: Page) -> None:
    page.get_by_role("button", name="Write").click()


@in_both_views
def test_command_changes_the_answer_and_the_time_between_is_told(product: Page, state: State) -> None:
    traffic = Traffic(product)
    price(product, "25.50")
    write(product)
    steps = product.locator("#steps li")
    expect(steps).to_have_count(3)
    sent, committed, read = steps.all_text_contents()
    assert sent == "0 ms: the write is sent"
    assert re.fullmatch(r"[\d.,]+ ms: committed, and invalidated", committed), committed
    assert re.fullmatch(r"[\d.,]+ ms: miss: the new answer is here", read), read
    first, second = (float(step.split(" ms")[0].replace(",", "")) for step in (committed, read))
    assert 0 < first < second
    body = next(each.post_data for each in traffic.requests if each.method == "POST")
    assert body == '{"id": 42, "price": 25.50}'
    expect(product.locator("#difference")).to_have_text('- "price": 10.00,\n+ "price": 25.50,')
    expect(product.locator("#body")).to_contain_text('"price": 25.50')
    expect(product.locator("#cached")).to_contain_text("PostgreSQL was asked")
    state(product, "written")


def test_numbers_that_json_writes_otherwise_are_sent_as_numbers(product: Page) -> None:
    price(product, ".5")
    product.locator("#command-parameter-id").fill("0042")
    write(product)
    expect(product.locator("#body")).to_contain_text('"price": 0.50')


@in_both_views
def test_refused_write_is_explained_at_its_field(product: Page, expected_messages: list[str], state: State) -> None:
    expected_messages.append(FAILED_REQUEST)
    price(product, "-1")
    write(product)
    expect(product.locator("#command-parameter-price-problem")).to_contain_text("price must be at least 0, not '-1'")
    expect(product.locator("#command-parameter-price")).to_have_attribute("aria-invalid", "true")
    expect(product.locator("#command-parameter-price")).to_be_focused()
    expect(product.locator("#command-problem")).to_be_hidden()
    expect(product.locator("#steps li")).to_have_count(0)
    state(product, "refused")
    price(product, "11")
    write(product)
    expect(product.locator("#steps li")).to_have_count(3)
    expect(product.locator("#command-parameter-price-problem")).to_be_hidden()


def test_write_that_fits_no_field_is_explained_below_the_form(product: Page, expected_messages: list[str]) -> None:
    expected_messages.append(FAILED_REQUEST)
    product.locator("#command-parameter-id").fill("999999")
    write(product)
    expect(product.get_by_role("alert").filter(has_text="no row")).to_be_visible()
    expect(product.locator("#steps li")).to_have_count(0)


def test_write_that_the_answer_does_not_depend_on_leaves_it_in_the_cache(page: Page) -> None:
    choose(page, "exact")
    ask_until_hit(page)
    page.get_by_label("Command").select_option("set_price")
    price(page, "12")
    write(page)
    expect(page.locator("#steps li").last).to_contain_text("it does not depend on what was written")
    expect(page.locator("#difference")).to_be_hidden()


def test_invalidated_answer_is_loaded_again(product: Page, state: State) -> None:
    product.get_by_role("button", name="Invalidate").click()
    expect(product.locator("#left-words")).to_have_text(
        re.compile(r"^Invalidated in [\d.,]+ m?s: the next request asks PostgreSQL\.$")
    )
    state(product, "invalidated")
    assert "fwd=miss" in ask(product).headers["cache-status"]


@in_both_views
def test_write_by_psql_is_seen_while_watching(product: Page, psql: Callable[[str], None], state: State) -> None:
    loads = product.locator("#loads").inner_text()
    product.get_by_role("button", name="Watch for a change").click()
    steps = product.locator("#steps")
    expect(steps).to_contain_text("Watching: run the statement in psql now")
    state(product, "watching")
    psql("update products set price = 77.70 where id = 42")
    expect(steps).to_contain_text(re.compile(r"The answer left the cache, and the new one is here: [\d.,]+ ms after"))
    expect(product.locator("#difference")).to_have_text('- "price": 10.00,\n+ "price": 77.70,')
    expect(product.locator("#body")).to_contain_text('"price": 77.70')
    assert product.locator("#loads").inner_text() != loads, "the last question is one of the account"
    state(product, "written-by-psql")


def test_line_for_psql_takes_the_answer_out_and_changes_nothing(product: Page, psql: Callable[[str], None]) -> None:
    line = product.locator("#psql code").inner_text()
    assert "42" in line
    product.get_by_role("button", name="Watch for a change").click()
    expect(product.locator("#steps")).to_contain_text("Watching")
    psql(line)
    expect(product.locator("#steps")).to_contain_text("The answer left the cache")
    expect(product.locator("#difference")).to_be_hidden()


def test_token_of_the_reader_is_sent_with_a_write(
    open_page: Callable[..., Page], served: Served, empty_cache: None, expected_messages: list[str], state: State
) -> None:
    expected_messages.append(re.escape("[DOM] Password field is not contained in a form"))  # of Chromium, to developers
    page = cached_product(open_page(served.url_with(WRITE_AUTHORIZATION="jwt")))
    sent: list[str | None] = []

    def look(route: Route) -> None:
        sent.append(route.request.header_value("authorization"))
        route.continue_()

    page.route("**/commands/*", look)
    price(page, "1")
    write(page)
    expect(page.locator("#steps li")).to_have_count(3)
    page.get_by_label("Bearer token").fill(" a.b.c ")
    state(page, "with-token")
    price(page, "2")
    write(page)
    expect(page.locator("#difference")).to_contain_text('+ "price": 2.00')
    assert sent == [None, "Bearer a.b.c"]
    assert "a.b.c" not in str(page.evaluate("[...Object.values(localStorage), ...Object.values(sessionStorage)]"))


def test_write_whose_response_is_lost_is_carried_out_once(product: Page, expected_messages: list[str]) -> None:
    expected_messages.append(FAILED_REQUEST)
    keys: list[str | None] = []

    def lose_the_first(route: Route) -> None:
        keys.append(route.request.header_value("idempotency-key"))
        if len(keys) > 1:
            return route.continue_()
        route.fetch()
        return route.abort()

    product.route("**/commands/*", lose_the_first)
    price(product, "12.50")
    write(product)
    expect(product.get_by_role("alert").filter(has_text="it is carried out once")).to_be_visible()
    write(product)
    expect(product.locator("#steps li").nth(1)).to_contain_text("committed by an earlier request, and invalidated")
    write(product)
    expect(product.locator("#steps li").nth(1)).to_contain_text(" committed, and invalidated")
    first, second, third = keys
    assert first == second != third


def test_write_that_needs_a_signature_is_a_line_for_a_shell(
    open_page: Callable[..., Page], served: Served, empty_cache: None, state: State
) -> None:
    page = cached_product(open_page(served.url_with(WRITE_AUTHORIZATION="iam", AWS_REGION="eu-central-1")))
    expect(page.get_by_role("button", name="Write", exact=True)).to_be_hidden()
    expect(page.get_by_role("button", name="Invalidate")).to_be_hidden()
    price(page, "3.50")
    page.locator("#command-parameter-price").blur()
    line = page.locator("#signed code").inner_text()
    assert "--aws-sigv4 'aws:amz:eu-central-1:execute-api'" in line
    assert """--data-raw '{"id": 42, "price": 3.50}'""" in line
    assert line.endswith("/commands/set_price'")
    state(page, "signed")
