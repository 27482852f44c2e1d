"""HTML documents: HTML, style and script in one response.

One document needs no other route, so a browser opens it with one request to one sandbox. With a file for each module, a
visit after a quiet time would start several sandboxes, and wait for all of them. An entity tag saves the transfer when
the document is opened again. It holds nothing that changes, so no dependency is asked for it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Final

from cacheaside.http.documents import document_response
from cacheaside.http.messages import Response
from query.modules import joined

__all__ = ["html_response"]

_ASSETS: Final = Path(__file__).parent / "assets"


def html_response(name: str, title: str, request_headers: Mapping[str, str]) -> Response:
    """Return the document made of assets/`name`.html, its style `name`.css, and its module `name`/`name`.js.

    Its Content-Security-Policy allows this style and this script, and requests to this API.
    """
    text, policy = _document(name, title)
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return document_response(text, headers, request_headers)


@cache
def _document(name: str, title: str) -> tuple[str, str]:
    """Return the text of the document, and its Content-Security-Policy."""
    style = _asset("style.css") + _asset(f"{name}.css")
    script = joined(_ASSETS, f"{name}/{name}.js")
    text = Template(_asset("document.html")).substitute(
        title=title, style=style, body=_asset(f"{name}.html"), script=script
    )
    policy = {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",  # the empty icon, so that browsers do not request /favicon.ico
        "script-src": _source(script),
        "style-src": _source(style),
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return text, "; ".join(f"{directive} {value}" for directive, value in policy.items())


def _asset(path: str) -> str:
    return (_ASSETS / path).read_text(encoding="utf-8")


def _source(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
