"""The function of an event, and the address of this machine for containers."""

import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from local.containers import engine
from local.containers.emulator import function_of
from local.containers.sam import invoke
from local.errors import LocalError
from tests.support.root import ROOT


def test_first_word_of_an_event_names_its_function() -> None:
    functions = {path.stem: function_of(path) for path in (ROOT / "events").glob("*.json")}
    assert functions["query_health"] == "QueryFunction"
    assert functions["migrate_create"] == "MigrateFunction"
    assert set(functions.values()) == {"QueryFunction", "CommandFunction", "InvalidateFunction", "MigrateFunction"}


def test_event_of_no_function_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(LocalError, match="begin the file's name with query_, command_, invalidate_, migrate_"):
        function_of(Path("events/other.json"))


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (None, "give EVENT=events/query_health.json"),
        ("", "give EVENT=events/query_health.json"),
        ("events/nothing.json", "'events/nothing.json' is no file of events/ and no request"),
        ("POST /commands/x {", "the body of the request is not JSON"),
    ],
)
def test_neither_a_file_nor_a_request_is_an_error(event: str | None, says: str) -> None:
    with pytest.raises(LocalError, match=re.escape(says)):
        invoke(event)


@pytest.mark.parametrize("event", ["events/query_health.json", "/queries/any?id=1", "POST /commands/any {}"])
def test_a_file_and_a_request_need_an_engine(monkeypatch: pytest.MonkeyPatch, event: str) -> None:
    def require() -> None:
        raise engine.EngineMissing("none")

    monkeypatch.setattr(engine, "require", require)
    with pytest.raises(engine.EngineMissing):
        invoke(event)


@pytest.mark.parametrize(
    ("said", "address"), [("172.17.0.0/16 172.17.0.9\n", "172.17.0.9"), ("172.17.0.0/16 \n", "172.17.0.1")]
)
def test_host_address_is_the_configured_gateway_or_the_first_address(
    monkeypatch: pytest.MonkeyPatch, said: str, address: str
) -> None:
    monkeypatch.setattr(engine, "_docker", lambda *_: CompletedProcess([], 0, said, ""))
    assert engine.host_address() == address
