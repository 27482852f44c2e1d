"""Which function an event is for, and where containers find this machine."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from local.containers import engine
from local.containers.emulator import ROOT, function_of
from local.containers.sam import invoke
from local.errors import LocalError


def test_first_word_of_an_event_names_its_function() -> None:
    functions = {path.stem: function_of(path) for path in (ROOT / "events").glob("*.json")}
    assert functions["query_version"] == "QueryFunction"
    assert functions["migrate_create"] == "MigrateFunction"
    assert set(functions.values()) == {"QueryFunction", "CommandFunction", "InvalidateFunction", "MigrateFunction"}


def test_event_of_no_function_is_told_how_to_be_named() -> None:
    with pytest.raises(LocalError, match="begin its name with query_, command_, invalidate_, migrate_"):
        function_of(Path("events/other.json"))


@pytest.mark.parametrize("event", [None, "", "events/nothing.json"])
def test_event_that_is_no_file_is_told(event: str | None) -> None:
    with pytest.raises(LocalError, match="is no file: EVENT=events/query_version"):
        invoke(event)


@pytest.mark.parametrize(
    ("said", "address"), [("172.17.0.0/16 172.17.0.9\n", "172.17.0.9"), ("172.17.0.0/16 \n", "172.17.0.1")]
)
def test_gateway_is_what_the_engine_says_or_the_first_address(
    monkeypatch: pytest.MonkeyPatch, said: str, address: str
) -> None:
    monkeypatch.setattr(engine, "_docker", lambda *_: CompletedProcess([], 0, said, ""))
    assert engine.gateway() == address
