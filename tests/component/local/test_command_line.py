"""What every command has in common: arguments, the terminal, and a signal at the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.root import ROOT

PATH = f"{ROOT}/layers/cacheaside:{ROOT}/tests/functions:{ROOT}"


def run(*arguments: str | bytes, path: str = PATH, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        encoding="latin-1",
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [("explain", "product", b"id=\xff"), ("invalidate", b'"\xff"'), ("ls", b"\xff"), (b"\xff",)],
)
def test_an_argument_that_is_no_text_is_named_without_a_traceback(arguments: tuple[str | bytes, ...]) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "\\udcff" in ended.stderr
    assert "is not in UTF-8" in ended.stderr


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (3, ("check",)),  # CATALOGUE is no folder
        (2, ("new", "shelf", "--sql", "/none/\x1b]0;pwn\x07")),  # click shows this one as it is
        (2, ("ls", "--\x1b]0;pwn\x07")),
    ],
)
def test_error_that_repeats_a_name_does_not_control_the_terminal(status: int, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, CATALOGUE="/none/\x1b]0;pwn\x07")
    assert (ended.returncode, ended.stdout) == (status, "")
    assert "\\x1b]0;pwn\\x07" in ended.stderr
    assert all(line.isprintable() for line in ended.stderr.split("\n"))


def test_letters_that_the_terminal_lacks_are_no_traceback() -> None:
    ended = run("inspect", "--help", PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Show one cached answer" in ended.stdout
    ended = run("warm", "--help", PYTHONIOENCODING="latin-1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "NAME?" in ended.stdout


def test_a_signal_during_the_imports_ends_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    ended = run("ls", path=f"{tmp_path}:{PATH}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
