"""The document of the page as it travels: its size, its second visit, and what it asks of the servers."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest
from playwright.sync_api import Page, expect

from bench.fault_proxy import FaultProxy
from local.live.http import send
from tests.browser.support.asking import ask
from tests.browser.support.served import Served

AT_MOST: Final = 60_000  # bytes, compressed, with style and script


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_document_with_everything_is_small(served: Served, path: str) -> None:
    response = send("GET", served.url + path, headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert len(response.body) <= AT_MOST
    text = gzip.decompress(response.body).decode()
    assert all(each not in text for each in ("<script src", '<link rel="stylesheet"', "@import", "import("))


def test_second_visit_transfers_no_document(open_page: Callable[..., Page], served: Served) -> None:
    statuses: list[int] = []
    page = open_page(served.url)
    expect(page.locator("#query option")).not_to_have_count(0)  # or its last response would be counted as well
    session = page.context.new_cdp_session(page)
    session.on("Network.responseReceivedExtraInfo", lambda event: statuses.append(event["statusCode"]))
    session.send("Network.enable")
    page.goto(served.url)
    expect(page.locator("#query option")).not_to_have_count(0)
    assert statuses == [304, 200]  # the document, and the catalogue


def test_document_needs_neither_cache_nor_database(open_page: Callable[..., Page], served: Served) -> None:
    proxies, urls = [], {}
    for name, url in (("DATABASE_URL", served.stack.database_url), ("CACHE_URL", served.stack.cache_url)):
        parts = urlsplit(url)
        proxy = FaultProxy(parts.hostname or "", parts.port or 0)
        served.exits.callback(proxy.close)
        user = f"{parts.username}@" if parts.username else ""
        urls[name] = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}"))
        proxies.append(proxy)
    page = open_page(served.url_with(**urls))
    page.wait_for_load_state("networkidle")
    assert [proxy.connections for proxy in proxies] == [0, 0]
    ask(page)
    assert all(proxy.connections > 0 for proxy in proxies), "a query does not use the servers that are counted"
