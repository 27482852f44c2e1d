"""An HTTP client that also searches the body of every refusal for internals of the functions."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from local.live.http import Authorize, send
from tests.support.answer import Answer

__all__ = ["Client", "eventually", "leaked", "same_entry"]

# A cache that failed is bypassed for at least 5 s, and longer if it fails again.
_PATIENCE_S: Final = 30
_PAUSE_S: Final = 0.2

# A file, a stack trace, a driver, SQL, a server's address: these help no caller, but an attacker.
_INSIDE: Final = re.compile(
    r"Traceback|/var/task|/opt/python|psycopg|redis\.|"
    r"\bselect\b.{1,400}(?:\b|\\n)from\b|\binsert into\b|\bupdate\b.{1,400}(?:\b|\\n)set\b|"
    r"\.(?:rds|cache|serverless)\.[\w.-]*amazonaws\.com|127\.0\.0\.1|rediss?://|postgres(?:ql)?://",
    re.IGNORECASE | re.DOTALL,
)

_T = TypeVar("_T")


class Client:
    """Calls the API at `url`, with the headers of `authorize`."""

    def __init__(self, url: str, authorize: Authorize) -> None:
        self._url = url.rstrip("/")
        self._authorize = authorize

    def get(self, target: str, **headers: str) -> Answer:
        return self.call("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, target: str, body: object, media_type: str = "application/json") -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.call("POST", target, data, {"content-type": media_type})

    def call(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request on a connection of its own."""
        response = send(method, self._url + target, self._authorize, body=body, headers=headers)
        answer = Answer(response.status, response.headers, response.body)
        if answer.status >= 400:
            assert not leaked(answer.body), f"{method} {target} answered {answer.status} with {leaked(answer.body)}"
        return answer

    def pair(self, target: str, ask: Callable[[str, Answer], Answer]) -> tuple[Answer, Answer]:
        """Return the answers of a GET and of `ask`. Repeats both, for a time, until they are of the same entry."""

        def both() -> tuple[Answer, Answer]:
            plain = self.get(target)
            return plain, ask(target, plain)

        return eventually(both, lambda pair: same_entry(*pair))


def eventually(ask: Callable[[], _T], is_right: Callable[[_T], bool]) -> _T:
    """Return the first answer that is right, or after 30 s the last one."""
    deadline = time.monotonic() + _PATIENCE_S
    while not is_right(answer := ask()) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    return answer


def leaked(body: bytes) -> str | None:
    """Return the first internal text in `body`, None if there is none."""
    found = _INSIDE.search(body.decode(errors="replace"))
    return found[0] if found else None


def same_entry(one: Answer, other: Answer) -> bool:
    """Whether both were made from the same entry: their ETags differ in the encoding at most."""
    return _entity(one) == _entity(other)


def _entity(answer: Answer) -> str:
    return answer.headers.get("etag", "").strip('"').partition("-")[0]
