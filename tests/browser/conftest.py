"""The documents in a real browser, served by the local gateway from the real functions."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from local.stack import running_stack
from migrate.described_rows import describe_rows
from tests.browser.support.served import Served, copy_with_catalogue
from tests.browser.support.views import DESKTOP, View
from tests.support.missing_tool import skip_without_tool
from tests.support.root import ROOT
from tests.support.wait_until import wait_until

# A browser that looks for updates would wait for a network that tests do not have.
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

pytest.register_assert_rewrite("tests.browser.support.asking")
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        skip_without_tool("in a browser", "no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(new_folder: Callable[[str], Path]) -> Iterator[Served]:
    """The local stack, with the catalogue of the tests and that in tests/browser/catalogue."""
    catalogue = copy_with_catalogue(new_folder("project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMPLE_SIZE", "100")
        with running_stack(new_folder("browser"), print) as stack, ExitStack() as exits:
            with closing(psycopg2.connect(stack.database_url)) as connection:
                describe_rows(connection, catalogue)
            served = Served(stack, catalogue, exits)
            assert served.url  # the gateway with the schedules is the first
            yield served


@pytest.fixture
def empty_cache(served: Served) -> None:
    with redis.Redis.from_url(served.stack.cache_url) as client:
        client.flushall()


@pytest.fixture
def psql(served: Served) -> Iterator[Callable[[str], None]]:
    """Runs a statement as anybody with psql would: neither our functions nor our library are involved."""
    with closing(psycopg2.connect(served.stack.database_url)) as connection:
        connection.autocommit = True

        def run(statement: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute(statement)

        yield run


@pytest.fixture
def drained(served: Served) -> Iterator[Callable[[], None]]:
    """Returns once the sweep has invalidated all recorded changes."""
    with closing(psycopg2.connect(served.stack.database_url)) as connection:
        connection.autocommit = True

        def is_drained() -> bool:
            with connection.cursor() as cursor:
                cursor.execute("select from cacheaside.outbox where drained_at is null")
                return cursor.rowcount == 0

        yield lambda: wait_until(is_drained)


@pytest.fixture
def view(request: pytest.FixtureRequest) -> View:
    """The window in which pages are opened. See `in_both_views`."""
    return getattr(request, "param", DESKTOP)


@pytest.fixture
def expected_messages() -> list[str]:
    """Regular expressions of the console messages that do not fail the test, to which a test adds its own."""
    return []


@pytest.fixture
def open_page(browser: Browser, view: View, expected_messages: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens a URL in a new window. A message on the console fails the test, such as a violation of the content policy.

    `prepare` is called with the page before its first request. With `url` None the page stays blank.
    """
    pages: list[Page] = []
    messages: list[str] = []

    def open_at(url: str | None, prepare: Callable[[Page], object] = lambda _: None) -> Page:
        size = {"width": view.width, "height": view.height}
        page = browser.new_page(viewport=size, color_scheme=view.scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        pages.append(page)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        prepare(page)
        if url is not None:
            page.goto(url)
        return page

    yield open_at
    for page in pages:
        page.close()
    assert [each for each in messages if not any(re.search(known, each) for known in expected_messages)] == []


@pytest.fixture
def page(open_page: Callable[..., Page], served: Served, empty_cache: None) -> Page:
    """GET / in a new window, with an empty cache."""
    return open_page(served.url)


@pytest.fixture
def state(view: View) -> Callable[[Page, str], None]:
    """Call it with a page and the name of its state: checks it with axe, and keeps a picture of it.

    Pictures are kept in .local/screenshots/, or in the folder SCREENSHOTS.
    """
    folder = Path(os.environ.get("SCREENSHOTS") or ROOT / ".local" / "screenshots")

    def check(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}-{view.name}.png", full_page=True)
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"

    return check
