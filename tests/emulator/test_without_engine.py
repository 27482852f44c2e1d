"""A machine without a Docker engine: the tests in containers are skipped and counted in one line, and fail in CI."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.support.root import ROOT


def run_pytest(ci: str) -> tuple[int, str]:
    """Return exit status and stdout of the tests in containers, where no engine answers."""
    environment = {**os.environ, "DOCKER_HOST": "unix:///no/engine.sock", "CI": ci}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/emulator", "--deselect", "tests/emulator/test_without_engine.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


def test_tests_in_containers_are_skipped_in_one_line() -> None:
    status, out = run_pytest(ci="")
    assert status == 0, out
    assert (
        len(re.findall(r"^skipped here: \d+ tests in containers \(no Docker engine answers\)$", out, re.MULTILINE)) == 1
    )
    assert "SKIPPED" not in out


def test_tests_in_containers_fail_in_ci() -> None:
    status, out = run_pytest(ci="true")
    assert status == 1
    assert "this test runs in containers (no Docker engine answers)" in out
    assert "skipped" not in out
