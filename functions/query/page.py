"""HTML documents: HTML, CSS and JavaScript in one response, so that they need no other route and no CDN."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Final

from cacheaside.http.messages import Response

__all__ = ["asset", "html_response"]

_ASSETS: Final = Path(__file__).parent / "assets"


def asset(name: str) -> str:
    """Return the text of a file in the folder `assets`."""
    return (_ASSETS / name).read_text(encoding="utf-8")


def html_response(title: str, body: str, script: str = "") -> Response:
    """Return a document in the common style. Its Content-Security-Policy allows only this style and this script."""
    style = asset("style.css")
    text = Template(asset("document.html")).substitute(title=title, style=style, body=body, script=script)
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
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Response(200, headers, text)


def _source(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
