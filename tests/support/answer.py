"""A response of the API, whether it came over HTTP or from a handler in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer"]


@dataclass(frozen=True)
class Answer:
    """A response, its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cache_status(self) -> str:
        return self.headers.get("cache-status", "")

    @property
    def cache(self) -> dict[str, str]:
        """The parameters of Cache-Status (RFC 9211): {"hit": "", "ttl": "42"}."""
        name, *parameters = [part.strip() for part in self.cache_status.split(";")]
        assert name == "cacheaside", self
        return {key: value for key, _, value in (each.partition("=") for each in parameters)}
