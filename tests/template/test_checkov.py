"""checkov finds nothing in the template, nor in what SAM and parameters make of it, but what .checkov.yaml explains."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.template.stack import ROOT, TEMPLATE, Stack, translated

PROGRAM = ROOT / ".venv-checkov" / "bin" / "checkov"
CONFIG = ROOT / ".checkov.yaml"
EVERYTHING = {
    "Stage": "prod",
    "Egress": "nat",
    "RdsProxy": "on",
    "CacheEngine": "redis",
    "AlarmEmail": "a@b.example",
}
Checkov = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def checkov(tmp_path_factory: pytest.TempPathFactory) -> Checkov:
    """Runs checkov on the template as it is written, as SAM translates it, and as two choices of parameters make it."""
    if not PROGRAM.exists():
        assert "CI" not in os.environ, "checkov is missing: `make .venv-checkov` installs it"
        pytest.skip("checkov is missing: `make .venv-checkov` installs it")
    folder = tmp_path_factory.mktemp("checkov")
    (folder / "template.yaml").write_text(TEMPLATE.read_text())
    (folder / "translated.json").write_text(json.dumps(translated()))
    stacks = {"prod": Stack(**EVERYTHING), "serverless": Stack(CacheType="serverless", Egress="endpoints")}
    for name, stack in stacks.items():
        document = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": stack.resources}
        (folder / f"{name}.json").write_text(json.dumps(document))

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [PROGRAM, "--directory", folder, *arguments]
        # Elsewhere than in the project's folder, where checkov would find our configuration by itself.
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    return run


def skipped() -> list[str]:
    return re.findall(r"^  - (\w+)$", CONFIG.read_text(), re.MULTILINE)


def test_nothing_is_found(checkov: Checkov) -> None:
    checked = checkov("--config-file", CONFIG)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "prismacloud" not in checked.stderr  # it has tried to call home


def test_each_check_that_is_skipped_would_find_something(checkov: Checkov) -> None:
    reports = json.loads(checkov("--framework", "cloudformation", "--skip-download", "--output", "json").stdout)
    results = reports["results"]
    assert len({check["file_path"] for check in results["passed_checks"]}) == 4
    assert not results["parsing_errors"]
    assert sorted({check["check_id"] for check in results["failed_checks"]}) == sorted(skipped())


def test_each_check_that_is_skipped_has_a_reason() -> None:
    lines = CONFIG.read_text().splitlines()
    for check in skipped():
        above = lines[lines.index(f"  - {check}") - 1]
        assert above.startswith("  # "), check
