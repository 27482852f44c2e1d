"""Steps on the page GET /, and what the server said meanwhile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus, urlsplit

from playwright.sync_api import Page, Request, Response, Route, expect

from tests.support.wait_until import wait_until

__all__ = ["FAILED_REQUEST", "Held", "Traffic", "ask", "ask_until_hit", "choose", "server_ms", "settled"]

# What Chromium says about each response with an error status, to which the page itself says nothing.
FAILED_REQUEST = "^Failed to load resource"


def choose(page: Page, query: str) -> None:
    page.get_by_label("Question", exact=True).select_option(query)


def settled(page: Page) -> None:
    """Return when no card waits for an answer."""
    expect(page.locator(".card[aria-busy]")).to_have_count(0)


def ask(page: Page) -> Response:
    """Click on Ask, and return the response through the cache once both answers are shown."""
    with page.expect_response(lambda response: is_cached(response.url)) as expected:
        page.locator("#ask").click()
    settled(page)
    return expected.value


def ask_until_hit(page: Page) -> None:
    """Ask until the answer comes from the cache."""
    wait_until(lambda: "; hit" in ask(page).headers["cache-status"])


def is_cached(url: str) -> bool:
    return re.fullmatch(r"/queries/\w+", urlsplit(url).path) is not None


def server_ms(response: Response) -> float:
    """Return the time that the function took."""
    found = re.search(r"total;dur=([\d.]+)", response.headers["server-timing"])
    assert found is not None
    return float(found[1])


class Held:
    """Holds the requests for a URL until they are released."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._routes: list[Route] = []
        self._is_holding = True
        page.route(url, self._take)

    def wait_for(self, count: int) -> None:
        """Return when so many requests are held."""

        def is_there() -> bool:
            self._page.wait_for_timeout(20)  # a sleep would hold up the requests, too
            return len(self._routes) >= count

        wait_until(is_there)

    def release(self) -> None:
        """Send the requests that are held, and hold no further ones."""
        self._is_holding = False
        for route in self._routes:
            route.continue_()

    def _take(self, route: Route) -> None:
        if self._is_holding:
            self._routes.append(route)
        else:
            route.continue_()


@dataclass
class Traffic:
    """The requests of a page, and the responses to those for queries."""

    page: Page
    requests: list[Request] = field(default_factory=list)
    cached: list[Response] = field(default_factory=list)
    direct: list[Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("response", self._add)

    @property
    def paths(self) -> list[str]:
        return [unquote_plus(each.url.removeprefix(self.page.url.rstrip("/"))) for each in self.requests]

    def statuses(self, responses: list[Response]) -> Mapping[str, int]:
        """Return how many of the responses have each word of Cache-Status."""
        words = [re.sub(r"; (ttl=.*|stored)", "", each.headers["cache-status"]) for each in responses]
        return {word: words.count(word) for word in words}

    def _add(self, response: Response) -> None:
        if is_cached(response.url):
            self.cached.append(response)
        elif urlsplit(response.url).path.endswith("/direct"):
            self.direct.append(response)
