"""What the page says about answers that are not a plain miss or hit, and what it must not claim."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.support.asking import FAILED_REQUEST, Held, ask, choose, settled
from tests.browser.support.served import Served
from tests.browser.support.views import in_both_views
from tests.component.support.closed_port import closed_port, refusing_url

State = Callable[[Page, str], None]


@pytest.fixture(scope="session")
def url_without_cache(served: Served) -> str:
    return served.url_with(CACHE_URL=served.exits.enter_context(refusing_url()))


@pytest.fixture(scope="session")
def url_without_database(served: Served) -> str:
    port = served.exits.enter_context(closed_port()).getsockname()[1]
    parts = urlsplit(served.stack.database_url)
    return served.url_with(DATABASE_URL=parts._replace(netloc=f"postgres@127.0.0.1:{port}").geturl())


@pytest.fixture
def failing(expected_messages: list[str]) -> None:
    """Responses with an error status are expected."""
    expected_messages.append(FAILED_REQUEST)


def kind_of(page: Page) -> str:
    """Return the kind of the answer with cache, which is the class of its card."""
    return (page.locator("#cached").get_attribute("class") or "").removeprefix("card ")


def test_answer_past_the_cache_is_no_miss(open_page: Callable[..., Page], url_without_cache: str, state: State) -> None:
    page = open_page(url_without_cache)
    choose(page, "product")
    assert "fwd=bypass" in ask(page).headers["cache-status"]
    assert kind_of(page) == "bypass"
    expect(page.locator("#headline")).to_contain_text("the cache does not answer, so PostgreSQL was asked")
    expect(page.locator("#cached")).to_contain_text("because the cache did not answer")
    expect(page.locator("#legend")).to_contain_text("bypass 1")
    expect(page.locator("#loads")).to_have_text("1 for 1 request")
    expect(page.locator("#ratio")).to_have_text("0 %")
    state(page, "bypass")


@pytest.mark.usefixtures("failing")
def test_cached_404_is_an_answer_and_no_error(page: Page, state: State) -> None:
    choose(page, "no_row")
    assert ask(page).status == 404
    assert kind_of(page) == "miss"
    expect(page.locator("#cached")).to_contain_text("there is no such row")
    answer = ask(page)
    assert (answer.status, "; hit" in answer.headers["cache-status"]) == (404, True)
    assert kind_of(page) == "hit"
    expect(page.locator("#headline")).to_contain_text("No such row, ")
    expect(page.locator("#form-problem")).to_be_hidden()
    expect(page.locator("#legend")).not_to_contain_text("error")
    expect(page.locator("#ratio")).to_have_text("50 %")
    state(page, "no-row")


@in_both_views
@pytest.mark.usefixtures("failing", "empty_cache")
def test_failure_of_postgresql_is_told(open_page: Callable[..., Page], url_without_database: str, state: State) -> None:
    page = open_page(url_without_database)
    choose(page, "product")
    assert ask(page).status == 503
    assert kind_of(page) == "error"
    expect(page.locator("#headline")).to_contain_text("No answer: ")
    expect(page.locator("#form-problem")).not_to_be_empty()
    expect(page.locator("#loads")).to_have_text("–")
    state(page, "postgresql-fails")


@pytest.mark.usefixtures("failing", "empty_cache")
def test_old_answer_is_no_hit_while_postgresql_fails(
    open_page: Callable[..., Page], served: Served, url_without_database: str, state: State
) -> None:
    working = open_page(served.url)
    choose(working, "kept_for_errors")
    ask(working)
    working.wait_for_timeout(1100)  # its ttl is a second
    page = open_page(url_without_database)
    choose(page, "kept_for_errors")
    assert "stale-if-error" in ask(page).headers["cache-status"]
    assert kind_of(page) == "fallback"
    expect(page.locator("#headline")).to_contain_text("an old answer from the cache, because PostgreSQL failed")
    expect(page.locator("#cached")).to_contain_text(re.compile("an old answer .*, because PostgreSQL failed; .* s old"))
    expect(page.locator("#legend")).to_contain_text("old answer 1")
    state(page, "stale-if-error")


@pytest.mark.usefixtures("failing")
def test_timeout_is_told(page: Page) -> None:
    choose(page, "too_slow")
    assert ask(page).status == 504
    assert kind_of(page) == "error"
    expect(page.locator("#headline")).to_contain_text("No answer: ")
    expect(page.locator("#form-problem")).to_contain_text("the statement ran into its timeout")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"status": 500, "json": {"message": "Internal Server Error"}}, "Internal Server Error"),
        (
            {"status": 502, "content_type": "text/html", "body": "<h1>Bad gateway</h1>"},
            "<h1>Bad gateway</h1>",
        ),
        (None, "No response came"),
    ],
    ids=["message of API Gateway", "HTML of a proxy", "offline"],
)
@pytest.mark.usefixtures("failing")
def test_error_without_problem_document_is_told(page: Page, answer: dict[str, object] | None, told: str) -> None:
    ask(page)
    page.route("**/queries/**", lambda route: route.fulfill(**answer) if answer else route.abort())  # type: ignore[arg-type]
    page.locator("#ask").click()
    expect(page.locator("#form-problem")).to_contain_text(told)
    settled(page)
    assert kind_of(page) == "error"
    headline = page.locator("#headline").inner_text()
    assert re.fullmatch(r"No answer: (?!No answer).+\.", headline), headline
    expect(page.locator("#legend")).to_contain_text("error 2")
    page.unroute("**/queries/**")
    ask(page)
    assert kind_of(page) == "hit"
    expect(page.locator("#form-problem")).to_be_hidden()


def expect_nothing_shown(page: Page) -> None:
    expect(page.locator("#body")).to_be_hidden()
    expect(page.locator("#left")).to_be_hidden()
    expect(page.locator("#headline")).to_have_text("Ask PostgreSQL a slow question. Then ask again.")
    expect(page.locator("#cached")).to_contain_text("not asked yet")
    expect(page.locator("#direct")).to_contain_text("not asked yet")
    expect(page.locator("#ask")).to_have_text("Ask")


def test_old_answer_goes_when_the_question_changes(page: Page) -> None:
    choose(page, "product")
    ask(page)
    ask(page)
    expect(page.locator("#tags")).to_contain_text("products:42")
    page.locator("#parameter-id").fill("4")
    expect_nothing_shown(page)
    expect(page.locator("#tags")).to_contain_text("products:4 order_items")
    ask(page)
    choose(page, "exact")
    expect_nothing_shown(page)
    expect(page.locator("#psql code")).to_be_hidden()


def test_late_answer_is_not_shown_under_another_question(page: Page) -> None:
    choose(page, "product")
    held = Held(page, "**/queries/product**")
    page.locator("#ask").click()
    held.wait_for(2)  # with cache, and without
    choose(page, "exact")
    held.release()
    expect(page.locator("#legend")).to_contain_text("without cache 1")  # both are counted
    expect(page.locator("#loads")).to_have_text("1 for 1 request")
    expect_nothing_shown(page)


def test_values_are_shown_as_postgresql_wrote_them(page: Page) -> None:
    choose(page, "exact")
    ask(page)
    shown = page.locator("#body")
    expect(shown).to_contain_text('"price": 25.50')
    expect(shown).to_contain_text('"id": 9007199254740993')


def test_html_in_data_and_catalogue_is_text(page: Page) -> None:
    dialogs: list[object] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog), dialog.dismiss()))
    choose(page, "exact")
    ask(page)
    expect(page.locator("#body")).to_contain_text('"html": "<img src=x onerror=alert(1)>"')
    expect(page.locator("#summary")).to_have_text("Values that JavaScript cannot hold, and <b>HTML</b>")
    assert page.locator("main img, main b").count() == 0
    assert dialogs == []


def test_wrong_file_is_named_with_its_correction_and_the_others_are_served(
    page: Page, served: Served, state: State
) -> None:
    options = page.get_by_label("Question", exact=True).locator("option")
    expect(options).not_to_have_count(0)
    known = options.count()
    wrong = served.catalogue / "queries" / "wrong.sql"
    wrong.write_text("-- ttl = 5\nselect 1\n")
    try:
        page.reload()
        expect(page.get_by_role("alert").first).to_contain_text("queries/wrong.sql:1: summary is missing")
        expect(options).to_have_count(known)
        state(page, "catalogue-error")
    finally:
        wrong.unlink()
    page.reload()
    expect(options).to_have_count(known)
    expect(page.locator("#catalogue-errors")).to_be_hidden()


@in_both_views
def test_empty_catalogue_is_explained(page: Page, served: Served, state: State) -> None:
    away: Path = (served.catalogue / "queries").rename(served.catalogue / "away")
    try:
        page.reload()
        expect(page.get_by_text("put a .sql file into functions/catalogue/queries")).to_be_visible()
        expect(page.get_by_role("button")).to_have_count(0)
        state(page, "empty-catalogue")
    finally:
        away.rename(served.catalogue / "queries")


@pytest.mark.usefixtures("failing")
def test_catalogue_that_needs_a_token_is_read_with_it(
    open_page: Callable[..., Page], served: Served, expected_messages: list[str], state: State
) -> None:
    expected_messages.append(re.escape("[DOM] Password field is not contained in a form"))  # of Chromium, to developers

    def refuse(route: Route) -> None:
        if route.request.header_value("authorization") == "Bearer a.b.c":
            return route.continue_()
        return route.fulfill(status=401, json={"message": "Unauthorized"})

    page = open_page(served.url_with(READ_AUTHORIZATION="jwt"), lambda page: page.route("**/queries", refuse))
    expect(page.locator("#headline")).to_have_text("The catalogue cannot be read: Unauthorized")
    state(page, "unauthorized")
    page.get_by_label("Bearer token").fill("a.b.c")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Question", exact=True)).to_have_value("version")
    expect(page.get_by_label("Bearer token")).to_have_value("a.b.c")
    expect(page.locator("#headline")).to_have_text("Ask PostgreSQL a slow question. Then ask again.")
