"""The page: what it shows when it is opened, and when a query is run."""

from __future__ import annotations

import time
from pathlib import Path

from playwright.sync_api import Page, expect

expect.set_options(timeout=30_000)


def run(page: Page) -> None:
    bars = page.locator("#bars li").count()
    page.get_by_role("button").click()
    expect(page.locator("#bars li")).to_have_count(bars + 1)


def run_until_hit(page: Page) -> int:
    """Return the number of misses. A slow cache, as on a machine that stopped for a moment, is bypassed for a while."""
    deadline, misses = time.monotonic() + 60, 0
    run(page)
    while "hit: the cache" not in page.locator("#facts").inner_text():
        assert time.monotonic() < deadline
        misses += 1
        page.wait_for_timeout(500)
        run(page)
    return misses


def test_second_run_comes_from_the_cache(page: Page) -> None:
    page.get_by_label("Query").select_option("customer_orders")
    page.get_by_label("customer_id").fill("3")
    run(page)
    expect(page.locator("#facts")).to_contain_text("miss: PostgreSQL")
    more = run_until_hit(page)
    expect(page.locator("#cache-status")).to_contain_text("cacheaside; hit; ttl=")
    expect(page.locator("#bars meter.hit")).to_have_count(1)
    expect(page.locator("#bars meter.miss")).to_have_count(1 + more)


def test_form_has_the_parameters_of_the_chosen_query_with_their_examples(page: Page) -> None:
    page.get_by_label("Query").select_option("version")
    expect(page.locator("#parameters input")).to_have_count(0)
    page.get_by_label("Query").select_option("product")
    expect(page.get_by_label("id")).to_have_value("42")
    run(page)
    expect(page.locator("#body")).to_contain_text('"sku": "SKU-0000042"')


def test_list_is_sent_as_several_values(page: Page) -> None:
    page.get_by_label("Query").select_option("customer_orders")
    page.get_by_label("status").fill("placed, paid")
    with page.expect_request("**/queries/customer_orders*") as sent:
        run(page)
    assert "status=placed&status=paid" in sent.value.url


def test_keyboard_alone_is_enough(page: Page) -> None:
    page.get_by_label("Query").select_option("product")
    page.get_by_label("id").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#facts")).to_contain_text("server time")


def test_a_wrong_file_is_named_with_its_correction_and_the_others_are_served(page: Page, catalogue: Path) -> None:
    wrong = catalogue / "queries" / "wrong.sql"
    wrong.write_text("-- ttl = 5\nselect 1\n")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("queries/wrong.sql:1: summary is missing")
    expect(page.get_by_label("Query").locator("option")).to_have_count(5)
    wrong.unlink()
    page.reload()
    expect(page.get_by_label("Query").locator("option")).to_have_count(5)
    expect(page.get_by_role("alert")).to_have_text("")


def test_an_empty_catalogue_is_explained(page: Page, catalogue: Path) -> None:
    queries = (catalogue / "queries").rename(catalogue / "away")
    page.reload()
    expect(page.get_by_text("put a .sql file into functions/catalogue/queries")).to_be_visible()
    expect(page.get_by_role("button")).to_be_hidden()
    queries.rename(catalogue / "queries")


def test_documentation_is_one_click_away(page: Page) -> None:
    page.get_by_role("link", name="documentation").click()
    expect(page.get_by_role("heading", name="Problems")).to_be_visible()
