"""The page in a real browser, served by the local gateway from the real functions with the catalogue of the tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from local.api.gateway import Gateway
from local.check import check_and_declare
from local.environment import function_environment
from local.stack import running_stack
from local.template import read_template
from tests.component.support.checkout import copy_project
from tests.support.missing_tool import skip_without_tool

# A browser that looks for updates would wait for a network that tests do not have.
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        skip_without_tool("in a browser", "no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def catalogue(servers_folder: Path) -> Path:
    """The folder of the catalogue that is served."""
    return copy_project(servers_folder / "project").folder / "functions" / "catalogue"


@pytest.fixture(scope="module")
def address(servers_folder: Path, catalogue: Path) -> Iterator[str]:
    template = read_template(catalogue.parents[1] / "template.yaml")
    with pytest.MonkeyPatch.context() as patch, closing(Gateway(0)) as gateway:
        patch.setenv("SAMPLE_SIZE", "100")
        patch.setenv("CATALOGUE", str(catalogue))
        with running_stack(servers_folder / "browser", print) as stack:
            check_and_declare(stack.database_url)
            environment = function_environment(stack.database_url, stack.cache_url, stack.embedded)
            with gateway.serving(template, environment, stack.log, print_line=print):
                yield gateway.url


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """GET / in a new window. Any message on the console fails the test, such as a violation of the content policy."""
    page = browser.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(address)
    yield page
    page.close()
    assert messages == []
