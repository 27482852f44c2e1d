"""Neither a refresh that does not run nor metrics that are lost leave a lease: the next read refreshes."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import redis

from tests.component.support.api import Api
from tests.component.support.declared import declared_query
from tests.support.answer import Answer

LONGER_THAN_THE_INVOCATION_MS: Final = 29_500


def always_stale(api: Api, **changes: int) -> Callable[..., Answer]:
    policy = api.module("QueryFunction").catalogue.query("product").policy._replace(ttl_ms=1, stale_ms=600_000)
    return declared_query(api, "select %(x)s as it", {"policy": policy, **changes}, x="integer")


def test_refresh_that_is_dropped_leaves_no_lease(api: Api, client: redis.Redis) -> None:
    ask = always_stale(api, timeout_ms=LONGER_THAN_THE_INVOCATION_MS)
    ask(x=1)
    assert "hit" in ask(x=1).headers["cache-status"]
    assert api.module("QueryFunction").after_response.dropped == 1
    assert client.keys("cacheaside:lease:*") == []


def test_metrics_that_cannot_be_printed_fail_no_answer_and_leave_no_lease(
    api: Api, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = always_stale(api)
    ask(x=2)
    with Path("/dev/full").open("wb", buffering=0) as full_disk, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(full_disk, write_through=True))
        assert ask(x=2).status == 200
    assert client.keys("cacheaside:lease:*") == []
