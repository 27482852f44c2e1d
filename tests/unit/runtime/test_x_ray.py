"""A traced call sends one valid subsegment, if the invocation is sampled. A daemon that is gone costs no answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cacheaside.errors import CacheUnavailable, Conflict
from cacheaside.runtime.x_ray import traced
from tests.support.x_ray_daemon import PARENT, ROOT_ID, Daemon, x_ray_daemon


class Server:
    kept = "as it was"

    def call(self, name: str, *, times: int = 1) -> str:
        return name * times

    def other(self) -> str:
        return self.kept

    def refuse(self, error: Exception) -> None:
        raise error


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    with x_ray_daemon(monkeypatch) as daemon:
        yield daemon


@pytest.fixture
def server() -> Server:
    return traced(Server(), "server", ("call", "refuse"), lambda first: first if isinstance(first, str) else "")


def test_call_is_one_subsegment_and_other_methods_are_none(daemon: Daemon, server: Server) -> None:
    assert (server.call("ab", times=2), server.other(), server.kept) == ("abab", "as it was", "as it was")
    [document] = daemon.received()
    assert (document["name"], document["namespace"]) == ("server", "remote")
    assert document["annotations"] == {"call": "call", "statement": "ab"}
    assert not {"error", "fault", "in_progress"} & document.keys()


@pytest.mark.parametrize(
    ("error", "kind"),
    [(CacheUnavailable("gone"), "fault"), (Conflict("there is one", []), "error"), (KeyError("a bug"), "fault")],
)
def test_failure_is_told_from_a_callers_error(daemon: Daemon, server: Server, error: Exception, kind: str) -> None:
    with pytest.raises(type(error)):
        server.refuse(error)
    [document] = daemon.received()
    assert document[kind] is True
    assert len({"fault", "error"} & document.keys()) == 1
    assert document["annotations"] == {"call": "refuse"}
    assert str(error) not in str(document)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        "Root=;Parent=;Sampled=1",
        f"Root={ROOT_ID};Parent={PARENT};Sampled=0",
        f"Root={ROOT_ID};Parent={PARENT}",
        f"Root={ROOT_ID};Sampled=1",
    ],
)
def test_nothing_is_sent_for_an_invocation_that_is_not_sampled(
    daemon: Daemon, server: Server, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    assert server.call("ab") == "ab"
    monkeypatch.delenv("_X_AMZN_TRACE_ID")
    assert server.call("ab") == "ab"
    assert daemon.received() == []


@pytest.mark.parametrize("address", ["", "127.0.0.1:1", "127.0.0.1:none", "no such host:2000", "255.255.255.255:2000"])
def test_daemon_that_cannot_be_reached_costs_no_answer(
    daemon: Daemon, server: Server, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
    assert [server.call("ab") for _ in range(2)] == ["ab", "ab"]
