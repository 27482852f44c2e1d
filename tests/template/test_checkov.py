"""checkov finds nothing in the template, nor in its translation by SAM, except the checks that .checkov.yaml skips."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.missing_tool import skip_without_tool
from tests.template.support import tools
from tests.template.support.stack import ROOT, TEMPLATE, stack_of, translated

PROGRAM = ROOT / ".venv-checkov" / "bin" / "checkov"
CONFIG = ROOT / ".checkov.yaml"
EVERYTHING = {
    "HighAvailability": "on",
    "DeletionProtection": "on",
    "Egress": "nat",
    "RdsProxy": "on",
    "CacheEngine": "redis",
    "CacheVersion": "7.1",
    "AlarmEmail": "a@b.example",
}


@pytest.fixture(scope="module")
def checkov() -> Path:
    if not PROGRAM.exists():
        skip_without_tool("with the linters", f"{PROGRAM.name} is missing")
    return PROGRAM


@pytest.fixture(scope="module")
def results(checkov: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All results, none skipped, for the template, for its translation, and for the stacks of three choices."""
    folder = tmp_path_factory.mktemp("checkov")
    (folder / "template.yaml").write_text(TEMPLATE.read_text())
    (folder / "translated.json").write_text(json.dumps(translated()))
    stacks = {
        "prod": stack_of(**EVERYTHING),
        "cluster": stack_of(CacheType="cluster"),
        "serverless": stack_of(CacheType="serverless", DatabaseSource="aurora", Egress="endpoints"),
    }
    for name, stack in stacks.items():
        document = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": stack.resources}
        (folder / f"{name}.json").write_text(json.dumps(document))
    options = ("--framework", "cloudformation", "--skip-download", "--output", "json")
    # Not in the project's folder: there checkov would find our configuration by itself.
    checked = tools.run(checkov, "--directory", folder, *options, folder=folder)
    found: dict[str, Any] = json.loads(checked.stdout)["results"]
    assert len({check["file_path"] for check in found["passed_checks"]}) == 2 + len(stacks)
    assert not found["parsing_errors"]
    return found


def failed(results: dict[str, Any]) -> set[str]:
    return {check["check_id"] for check in results["failed_checks"]}


def skipped() -> list[str]:
    return re.findall(r"^  - (\w+)$", CONFIG.read_text(), re.MULTILINE)


def test_nothing_is_found_that_is_not_skipped(results: dict[str, Any]) -> None:
    unexplained = failed(results) - set(skipped())
    assert [check for check in results["failed_checks"] if check["check_id"] in unexplained] == []


def test_each_check_that_is_skipped_would_find_something(results: dict[str, Any]) -> None:
    assert sorted(failed(results).intersection(skipped())) == sorted(skipped())


def test_configuration_skips_these_checks_and_calls_no_service(checkov: Path, tmp_path: Path) -> None:
    checked = tools.run(checkov, "--config-file", CONFIG, "--file", TEMPLATE, folder=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "prismacloud" not in checked.stderr


def test_each_check_that_is_skipped_has_a_reason() -> None:
    lines = CONFIG.read_text().splitlines()
    for check in skipped():
        above = lines[lines.index(f"  - {check}") - 1]
        assert above.startswith("  # "), check
