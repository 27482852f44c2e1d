"""Asks AWS. All operations only read; docs/deploying.md has the IAM policy that allows them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from local.doctor.check import Missing, NotChecked
from local.terminal import one_line

__all__ = ["Account", "permission"]

Json = dict[str, Any]

_DENIED: Final = re.compile(r"AccessDenied.*|Unauthorized.*|NotAuthorized|AuthorizationError")
# Each service has its own code for a resource that does not exist, or for an id that cannot exist.
_ABSENT: Final = re.compile(r".*NotFound.*|NoSuchEntity|Invalid.*|Validation(Error|Exception)")


class Account:
    """An AWS account in one region, seen with the credentials of a boto3 session."""

    def __init__(self, session: Any, region: str) -> None:
        self._session = session
        self.region = region
        self.client = cache(self._client)

    def ask(self, service: str, operation: str, **arguments: Any) -> Json:
        """Return AWS's answer. Raises `Missing`, or `NotChecked` with the reason, such as a missing permission."""
        return self._asked(service, operation, lambda client: getattr(client, operation)(**arguments))

    def ask_all(self, service: str, operation: str, key: str, **arguments: Any) -> list[Any]:
        """Return the items under `key` on all pages. Raises as `ask` does."""

        def pages(client: Any) -> Json:
            return {key: [each for page in client.get_paginator(operation).paginate(**arguments) for each in page[key]]}

        items: list[Any] = self._asked(service, operation, pages)[key]
        return items

    def _asked(self, service: str, operation: str, call: Callable[[Any], Json]) -> Json:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        client = self.client(service)
        try:
            return call(client)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], one_line(error.response["Error"].get("Message", ""))
            if _DENIED.fullmatch(code):
                raise NotChecked(f"it needs the permission {permission(client, operation)}") from None
            if _ABSENT.fullmatch(code):
                raise Missing(f"{message or code} ({self.region})") from None
            raise NotChecked(f"{code}: {message}") from None
        except (BotoCoreError, ResponseParserError) as error:  # the second: a page of some proxy
            raise NotChecked(one_line(error)) from None

    def _client(self, service: str) -> Any:
        from botocore.config import Config

        patience = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
        return self._session.client(service, region_name=self.region, config=patience)


def permission(client: Any, operation: str) -> str:
    """Return the IAM action that allows an operation of a boto3 client: ec2:DescribeVpcs."""
    return f"{client.meta.service_model.signing_name}:{client.meta.method_to_api_mapping[operation]}"
