"""Documents of the API itself: the pages, the catalogue, OpenAPI, health, and the result of an invalidation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from cacheaside.http.messages import Response

__all__ = ["JSON", "document_response", "json_response"]

JSON: Final = "application/json"


def json_response(document: object, status: int = 200) -> Response:
    """Return `document` as JSON. Clients must not keep it: it changes with time."""
    body = json.dumps(document, ensure_ascii=False)
    return Response(status, {"Content-Type": JSON, "Cache-Control": "no-store"}, body)


def document_response(text: str, headers: Mapping[str, str], request_headers: Mapping[str, str]) -> Response:
    """Return `text` with `headers` and an entity tag, compressed where the caller accepts that.

    It changes with a deployment only. So clients may keep it, and ask each time whether it is still the same.
    """
    import gzip  # no other response needs these imports, and a cold start should not wait for them
    from base64 import b64encode
    from hashlib import sha256

    from cacheaside.http.encoding import accepts_gzip

    etag = sha256(text.encode()).hexdigest()[:32]
    common = {**headers, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if not accepts_gzip(request_headers.get("accept-encoding", "")):
        return Response(200, {**common, "ETag": f'"{etag}"'}, text)
    body = b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return Response(200, {**common, "ETag": f'"{etag}-gzip"', "Content-Encoding": "gzip"}, body, is_base64=True)
