"""The steps of `cacheaside deploy-local`, with a stack that only notes what is done with it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.containers.engine import EngineMissing
from local.deployment import deploy_local as module
from local.deployment.deploy_local import deploy_local
from local.deployment.lacks import LACKS, REPLACED
from local.deployment.ministack import running_ministack
from local.errors import LocalError
from tests.support.root import ROOT


class NotedStack:
    name = "noted"
    emulator = None

    def __init__(self, _emulator: object, project: Path, *_: object) -> None:
        self.project = project
        self.done: list[str] = []

    def build(self) -> None:
        self.done.append(f"build {len(list(self.project.rglob('migrations/*.sql')))}")

    def deploy(self) -> None:
        self.done.append("deploy")

    def delete(self) -> None:
        self.done.append("delete")


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[NotedStack]:
    made: list[NotedStack] = []

    def make(*arguments: Any) -> NotedStack:
        made.append(NotedStack(*arguments))
        return made[-1]

    @contextmanager
    def running(*_: object) -> Any:
        yield None

    def end_to_end(_: Path, stack: NotedStack, *options: str) -> str:
        stack.done.append(f"e2e {len(options)}")
        return f"{9 - len(options)} passed, 1 skipped"

    inventories = iter([{"s3: bucket"}, {"s3: bucket", "rds: snapshot"}])
    monkeypatch.setattr(module, "Stack", make)
    monkeypatch.setattr(module, "running_ministack", running)
    monkeypatch.setattr(module, "uploaded", lambda *_: None)
    monkeypatch.setattr(module, "check_artifacts", lambda *_: ["artifacts are right"])
    monkeypatch.setattr(module, "inventory", lambda _: next(inventories))
    monkeypatch.setattr(module, "find_sam", lambda _: Path("sam"))
    monkeypatch.setattr(module, "end_to_end", end_to_end)
    return made


def test_stack_is_created_tested_updated_and_deleted(stacks: list[NotedStack]) -> None:
    lines: list[str] = []
    deploy_local(ROOT, "dev", lines.append)
    own = len(list((ROOT / "functions/catalogue/migrations").glob("*.sql")))
    [stack] = stacks
    first, again = f"build {own}", f"build {own + 1}"
    assert stack.done == [first, "deploy", "e2e 0", "deploy", again, "deploy", "e2e 2", "delete"]
    assert [line for line in lines if line.startswith("✓ sam")]
    assert [line for line in lines if "skipped" in line] == ["  9 passed, 1 skipped", "  7 passed, 1 skipped"]
    assert lines[-1] == "  left over: rds: snapshot"


def test_everything_that_differs_from_aws_is_printed_first(stacks: list[NotedStack]) -> None:
    lines: list[str] = []
    deploy_local(ROOT, "dev", lines.append)
    listed = [line.removeprefix("  - ") for line in lines[1:] if line.startswith("  - ")]
    assert listed == [*map(str, LACKS), *(f"{what}: {why}" for what, why in REPLACED.items())]
    assert lines.index("✓ emulator and images: 0 s") > len(listed)


def test_failure_of_a_step_is_no_success_of_it(stacks: list[NotedStack], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: NotedStack) -> None:
        raise LocalError("sam deploy failed")

    lines: list[str] = []
    monkeypatch.setattr(NotedStack, "deploy", fail)
    with pytest.raises(LocalError, match="sam deploy failed"):
        deploy_local(ROOT, "dev", lines.append)
    assert not [line for line in lines if line.startswith("✓ sam deploy")]


def test_machine_without_a_docker_engine_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise EngineMissing("no Docker engine answers")

    monkeypatch.setattr(module, "running_ministack", missing)
    with pytest.raises(LocalError, match="no Docker engine answers"):
        deploy_local(ROOT, "dev", lambda _: None)


def test_missing_emulator_is_an_error_with_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"run `make \.venv-ministack`"), running_ministack(tmp_path, tmp_path):
        pass
