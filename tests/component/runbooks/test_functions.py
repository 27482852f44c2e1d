"""The runbooks of functions that end without an answer, and of a migration that failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from bench import sandbox as sandboxes
from local.containers.response_url import response_server
from local.servers.processes import HOST
from tests.component.runbooks.insights import run
from tests.component.runbooks.runbook import SECTIONS
from tests.component.runbooks.stack import RunbookStack

QUERY_ERRORS: Final = SECTIONS["Query errors"]
MIGRATION: Final = SECTIONS["A migration that failed"]


def test_function_that_does_not_start(stack: RunbookStack, tmp_path: Path) -> None:
    sandbox = stack.new_sandbox("QueryFunction", CACHE_URL="")
    with pytest.raises(AssertionError, match="the sandbox has ended"), sandbox:
        pass
    [_, errors] = QUERY_ERRORS.queries("query")
    [row] = run(errors, sandbox.log.read_text().splitlines())
    assert (row["errorType"], row["exception_name"]) == ("SettingsError", "")
    assert "CACHE_URL is missing" in row["errorMessage"]
    assert "`errorMessage`" in QUERY_ERRORS.action("SettingsError")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ("\n-- edited\n", "was edited after it was applied"),
        ("", "a tag is missing"),  # of the query `untagged`
    ],
)
def test_migration_that_failed(stack: RunbookStack, monkeypatch: pytest.MonkeyPatch, edit: str, reason: str) -> None:
    monkeypatch.setattr(sandboxes, "_TIMEOUT_MS", 900_000)
    path = stack.functions / "catalogue" / "migrations" / "0001_shop.sql"
    text = path.read_text()
    path.write_text(text + edit)
    try:
        answer = _deploy(stack)
    finally:
        path.write_text(text)
    assert answer["Status"] == "FAILED"
    [look] = MIGRATION.queries("migrate")
    [row] = [row for row in run(look, stack.log("MigrateFunction")) if row["exception"]]
    assert MIGRATION.action(reason)
    assert (reason if edit else "untagged.sql:3") in row["exception"]
    assert answer["Reason"].partition(": ")[2][:29] in row["exception"]


def _deploy(stack: RunbookStack) -> dict[str, Any]:
    """Return the response to CloudFormation."""
    with response_server() as (port, responses):
        event = {
            "RequestType": "Update",
            "ResponseURL": f"http://{HOST}:{port}/",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Migrations",
            "ResourceProperties": {},
            "OldResourceProperties": {},
        }
        assert stack.sandbox("MigrateFunction").outcome(event) is None
        response = responses[-1]
    answer: dict[str, Any] = json.loads(response) if isinstance(response, str | bytes) else response
    return answer


def test_queries_of_the_lines_that_lambda_writes() -> None:
    """In the form that AWS documents: no function can write them."""
    metrics = {"durationMs": 9.1, "memorySizeMB": 1024, "maxMemoryUsedMB": 1000, "initDurationMs": 300}
    report = {"requestId": "1", "metrics": metrics, "status": "timeout"}
    lines = [json.dumps({"time": "2026-01-01T00:00:00.000Z", "type": "platform.report", "record": report})]
    lines.append(lines[0].replace("timeout", "success"))
    [ended, _] = QUERY_ERRORS.queries("query")
    assert [row["record.status"] for row in run(ended, lines)] == ["timeout"]
    [memory] = SECTIONS["Function memory"].queries("query")
    assert [row["max(record.metrics.maxMemoryUsedMB)"] for row in run(memory, lines)] == [1000]
    cold = SECTIONS["API latency"].queries("query")[-1]
    assert [row["max(record.metrics.initDurationMs)"] for row in run(cold, lines)] == [300]
