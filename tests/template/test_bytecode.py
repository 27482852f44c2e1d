"""The build compiles layers and functions for the Python of the functions, where this machine has one."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.missing_tool import skip_without_tool
from tests.template.support.stack import ROOT, read_template

RUNTIME: Final = "python3.13"
BUILDS: Final = {"layers/cacheaside": "build-CacheasideLayer", "functions": "build-QueryFunction"}


@pytest.fixture
def python() -> str:
    """The interpreter with the version of the functions."""
    if subprocess.run([RUNTIME, "-c", ""], capture_output=True, check=False).returncode:
        skip_without_tool("with the Python of the functions", f"no {RUNTIME} runs here")
    return RUNTIME


def build(source: Path, target: str, artifacts: Path, **variables: str) -> str:
    """Build as sam does, in a copy of the source. Return what the terminal shows."""
    copy = shutil.copytree(source, artifacts.with_name(f"{artifacts.name}-source"))
    artifacts.mkdir()
    command = ["make", "--makefile", str(source / "Makefile"), target]
    # Not the variables of `make test`, with which this make would print the folders that it enters.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment |= {"ARTIFACTS_DIR": str(artifacts)} | variables
    return subprocess.run(command, cwd=copy, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def relative_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("source", "target"), BUILDS.items())
def test_two_builds_of_the_same_sources_have_the_same_bytes(
    python: str, source: str, target: str, tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "another" / "place"
    other.parent.mkdir()
    assert build(ROOT / source, target, one) == ""
    build(ROOT / source, target, other, PYTHONHASHSEED="1", PYTHONPYCACHEPREFIX=str(tmp_path / "elsewhere"))
    files = relative_files(one)
    modules, bytecode = ([name for name in files if name.endswith(suffix)] for suffix in (".py", ".pyc"))
    assert len(bytecode) == len(modules) > 0
    assert relative_files(other) == files
    assert not filecmp.cmpfiles(one, other, files, shallow=False)[1]


def test_python_runs_the_bytecode_without_a_look_at_the_source(python: str, tmp_path: Path) -> None:
    build(ROOT / "layers/cacheaside", "build-CacheasideLayer", tmp_path / "built")
    module = tmp_path / "built/python/cacheaside/errors.py"
    module.write_text("raise SystemExit('compiled again')")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(module.parents[1])}
    subprocess.run([python, "-c", "import cacheaside.errors"], env=environment, check=True)
    assert b"/opt/python/cacheaside/errors.py" in next(module.parent.glob("__pycache__/errors.*.pyc")).read_bytes()


def test_without_that_python_the_build_goes_on_and_says_so_in_one_line(tmp_path: Path) -> None:
    for name in (RUNTIME, "other-python"):  # a shim of pyenv fails like this
        (tmp_path / name).write_text("#!/bin/sh\nexit 127\n")
        (tmp_path / name).chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHON": "other-python"}
    output = [
        line
        for source, target in BUILDS.items()
        for line in build(ROOT / source, target, tmp_path / target, **path).splitlines()
    ]
    assert [line.partition(":")[0] for line in output] == ["no Python 3.13 on PATH"]
    assert not [path for target in BUILDS.values() for path in (tmp_path / target).rglob("*.pyc")]
    assert (tmp_path / "build-QueryFunction/query/app.py").exists()


def test_bytecode_is_for_the_runtime_of_the_functions() -> None:
    assert read_template()["Globals"]["Function"]["Runtime"] == RUNTIME
    assert f"RUNTIME := {RUNTIME.removeprefix('python')}\n" in (ROOT / "layers/bytecode.mk").read_text()
