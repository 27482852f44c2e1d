"""`make psql SQL=…`: the SQL that was typed is the SQL that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.checkout import Checkout, copy_project
from tests.support.root import ROOT


@pytest.fixture(scope="module")
def checkout(new_folder: Callable[[str], Path]) -> Checkout:
    """A checkout whose environment is this one, so that make has nothing to install."""
    checkout = copy_project(new_folder("make_psql"))
    shutil.copy(ROOT / "Makefile", checkout.folder)
    (checkout.folder / "requirements").mkdir()
    (checkout.folder / "requirements" / "dev.txt").touch()
    (checkout.folder / ".venv" / "bin").mkdir(parents=True)
    (checkout.folder / ".venv" / "installed").touch()
    python = checkout.folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return checkout


def make_psql(checkout: Checkout, url: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
    # Variables of the make that runs these tests would be passed on to this one.
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "--no-print-directory", "psql", *arguments],
        cwd=checkout.folder,
        env=ours | {"DATABASE_URL": url, "PSQLRC": os.devnull} | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_quotes_of_sql_are_kept(checkout: Checkout, postgres: PostgresServer) -> None:
    status, out, err = make_psql(checkout, postgres.url, """SQL=select 1 as "Foo", 'it''s' as "b'ar" """)
    assert (status, out.splitlines()[0].split()) == (0, ["Foo", "|", "b'ar"]), err


@pytest.mark.parametrize("text", ["`touch ran`", "$(touch ran)", "$(shell touch ran)", "$$x$ ${HOME}", "a\\b # c"])
def test_neither_make_nor_the_shell_reads_sql(checkout: Checkout, postgres: PostgresServer, text: str) -> None:
    for given in ([f"SQL=select '{text}' as said"], []):
        environment = {} if given else {"SQL": f"select '{text}' as said"}
        status, out, err = make_psql(checkout, postgres.url, *given, **environment)
        assert (status, out.splitlines()[2].strip()) == (0, text), err
        assert not (checkout.folder / "ran").exists()


def test_sql_may_begin_with_a_comment_and_have_lines(checkout: Checkout, postgres: PostgresServer) -> None:
    status, out, err = make_psql(checkout, postgres.url, "SQL=-- first\nselect 'second' as line")
    assert (status, out.splitlines()[2].strip()) == (0, "second"), err


def test_without_sql_it_is_a_prompt(checkout: Checkout, postgres: PostgresServer) -> None:
    assert make_psql(checkout, postgres.url) == (0, "", "")


def test_the_launcher_runs_nothing_of_the_folder_that_it_is_called_in(
    checkout: Checkout, postgres: PostgresServer, tmp_path: Path
) -> None:
    assert make_psql(checkout, postgres.url, "SQL=select 1")[0] == 0  # has written the launcher
    (tmp_path / "local").mkdir()
    for module in ("click", "redis", "migrate", "local/__main__"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('of the folder')")
    launcher = checkout.folder / ".venv" / "bin" / "cacheaside"
    called = subprocess.run([launcher, "check", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (called.returncode, called.stderr) == (0, "")
