"""The parameters and the body of a request, parsed strictly."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from cacheaside.catalogue.parameters import shortened
from cacheaside.errors import BadBody, BadParameters, BodyTooLarge, ParameterProblem, UnsupportedMedia
from cacheaside.http.messages import Request

__all__ = ["IDEMPOTENCY_KEY", "json_object", "query_parameters"]

IDEMPOTENCY_KEY: Final = "Idempotency-Key"

_BODY_AT_MOST: Final = 256 * 1024
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9a-fA-F]{2})")


def query_parameters(query_string: str) -> dict[str, list[str]]:
    """Return each parameter of the URL with all its values, in order. Raises BadParameters if one cannot be decoded.

    It parses the raw string: API Gateway joins repeated parameters with commas, and a value may contain commas too.
    """
    parameters: dict[str, list[str]] = {}
    for pair in filter(None, query_string.split("&")):
        name, _, value = pair.partition("=")
        try:
            parameters.setdefault(_decoded(name), []).append(_decoded(value))
        except ValueError:
            problem = f"{shortened(pair)} in the URL is not UTF-8 in percent-encoding; a % itself is written %25"
            raise BadParameters([ParameterProblem(name[:40], problem)]) from None
    return parameters


def _decoded(text: str) -> str:
    """Return the text without percent-encoding. Raises ValueError where a decoder would have to guess."""
    if text.isascii() and "%" not in text and "+" not in text:
        return text
    if _STRAY_PERCENT.search(text):
        raise ValueError
    return unquote_to_bytes(text.replace("+", " ")).decode()


def json_object(request: Request) -> dict[str, object]:
    """Return the JSON object of the request body. Numbers with a decimal point or an exponent are Decimal.

    Raises UnsupportedMedia unless the body is declared as plain JSON in UTF-8, BodyTooLarge, and BadBody unless it is a
    JSON object. Raises BadParameters if there are parameters in the URL: they would have no effect.
    """
    if request.query_string:
        problem = "POST takes its parameters in the body, and none in the URL"
        raise BadParameters([ParameterProblem(request.query_string.partition("=")[0][:40], problem)])
    _check_media(request.headers)
    try:
        body = request.body.encode()
        body = b64decode(body) if request.event.get("isBase64Encoded") else body
        if len(body) > _BODY_AT_MOST:
            raise BodyTooLarge(f"the body is larger than {_BODY_AT_MOST // 1024} KiB")
        parsed = json.loads(body.decode(), parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_object)
        # JSON can escape half a surrogate pair, "\ud800". Such text has no UTF-8: this raises ValueError.
        json.dumps(parsed, ensure_ascii=False, default=str).encode()
    except (json.JSONDecodeError, _Refused) as error:
        raise BadBody(f"the body is not JSON: {error}") from None
    except (ValueError, ArithmeticError, RecursionError):
        raise BadBody("the body is not JSON in UTF-8, or it has a number or nesting that is too large") from None
    if not isinstance(parsed, dict):
        raise BadBody('the body must be a JSON object, such as {"id": 42}')
    return parsed


def _check_media(headers: Mapping[str, str]) -> None:
    # API Gateway joins several lines of a header with commas.
    media_type, *options = headers.get("content-type", "").lower().split(";")
    named = (option.partition("=") for option in options)
    charsets = {value.strip(' \t"') for name, _, value in named if name.strip() == "charset"}
    if media_type.strip() != "application/json" or charsets - {"utf-8", "utf8"} or "," in headers["content-type"]:
        raise UnsupportedMedia("send a JSON object in UTF-8, with the header content-type: application/json")
    if headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise UnsupportedMedia("send the body as it is, without the header content-encoding")


class _Refused(Exception):
    """JSON that Python would parse, although the standard forbids it or leaves its meaning open."""


def _refuse(constant: str) -> NoReturn:
    raise _Refused(f"{constant} is not a JSON number")


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise _Refused("an object names a field twice")
    return dict(pairs)
