"""Conditional requests (RFC 9110 section 13): If-Match and If-None-Match, compared with the entity tag of the response.

No response has a Last-Modified, and no route serves ranges. So If-Modified-Since, If-Unmodified-Since, If-Range and
Range have no effect, as the RFC requires.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cacheaside.errors import PreconditionFailed
from cacheaside.http.messages import Response

__all__ = ["conditional"]

_TAG: Final = r'(?:W/)?"[!#-~\x80-\U0010ffff]*"'
# Quantifiers that never backtrack (*+), because a caller chooses the text.
_LIST: Final = rf"[ \t,]*+(?:{_TAG}(?:[ \t]*+,[ \t,]*+{_TAG})*+[ \t,]*+)?"


def conditional(response: Response, request_headers: Mapping[str, str]) -> Response:
    """Return the response to GET or HEAD under the conditions of the request: itself, or 304 if the caller has it.

    Raises PreconditionFailed. Conditions apply to a response of status 200 only (section 13.2.1).
    """
    if_match, if_none_match = request_headers.get("if-match"), request_headers.get("if-none-match")
    if response.status != 200 or (if_match is None and if_none_match is None):
        return response
    etag = response.headers.get("ETag", "")
    # Strong comparison: a tag with the prefix W/ is never equal.
    if if_match is not None and not _fits(if_match, etag, _tags(if_match)):
        raise PreconditionFailed("If-Match names no entity tag of the current answer")
    # Weak comparison ignores the prefix.
    if if_none_match is not None and _fits(
        if_none_match, etag, [tag.removeprefix("W/") for tag in _tags(if_none_match)]
    ):
        headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return Response(304, headers)
    return response


def _fits(field: str, etag: str, tags: list[str]) -> bool:
    return field.strip(" \t") == "*" or etag in tags


def _tags(field: str) -> list[str]:
    """Return the entity tags that the field lists. A field that cannot be parsed lists none.

    So If-None-Match gets the whole answer, and If-Match gets 412. API Gateway joins several lines with commas.
    """
    return re.findall(_TAG, field) if re.fullmatch(_LIST, field) else []
