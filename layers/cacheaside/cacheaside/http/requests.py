"""The parameters and the body of a request, parsed strictly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NoReturn
from urllib.parse import parse_qsl

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from cacheaside.errors import BadBody, BodyTooLarge, UnsupportedMedia

__all__ = ["IDEMPOTENCY_KEY", "json_object", "query_parameters"]

IDEMPOTENCY_KEY: Final = "Idempotency-Key"

_BODY_AT_MOST: Final = 256 * 1024


def query_parameters(event: APIGatewayProxyEventV2) -> dict[str, list[str]]:
    """Return each parameter of the URL with all its values, in order.

    It parses the raw string: API Gateway joins repeated parameters with commas, and a value may contain commas too.
    """
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(event.raw_query_string, keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    return parameters


def json_object(event: APIGatewayProxyEventV2) -> dict[str, object]:
    """Return the JSON object of the request body. Numbers with a decimal point are Decimal.

    Raises UnsupportedMedia unless the body is declared as JSON, BodyTooLarge, and BadBody unless it is a JSON object.
    """
    media_type = event.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMedia("send a JSON object, with the header content-type: application/json")
    if len(event.body or "") > _BODY_AT_MOST:
        raise BodyTooLarge(f"the body is larger than {_BODY_AT_MOST // 1024} KiB")
    try:
        parsed = json.loads(
            event.decoded_body or "", parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_object
        )
        # JSON can escape half a surrogate pair, "\ud800". Such text has no UTF-8: this raises ValueError.
        json.dumps(parsed, ensure_ascii=False, default=str).encode()
    except (json.JSONDecodeError, _Refused) as error:
        raise BadBody(f"the body is not JSON: {error}") from None
    except (ValueError, RecursionError):
        raise BadBody("the body is not JSON in UTF-8, or it has a number or nesting that is too large") from None
    if not isinstance(parsed, dict):
        raise BadBody('the body must be a JSON object, such as {"id": 42}')
    return parsed


class _Refused(Exception):
    """JSON that Python would parse, although the standard forbids it or leaves its meaning open."""


def _refuse(constant: str) -> NoReturn:
    raise _Refused(f"{constant} is not a JSON number")


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise _Refused("an object names a field twice")
    return dict(pairs)
