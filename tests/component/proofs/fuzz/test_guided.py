"""`make fuzz GUIDED=1`: it finds a defect that is put in, keeps what reaches new code, and a case can be run again."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.missing_tool import skip_without_tool
from tests.support.root import ROOT

DEFECT: Final = "from cacheaside.reading import entry; entry._has_answer = lambda _: True"
WITH_DEFECT: Final = f"from proofs.fuzz import guided; {DEFECT}; guided.main()"


@pytest.fixture(autouse=True)
def atheris() -> None:
    if importlib.util.find_spec("atheris") is None:
        skip_without_tool("with atheris", "it has wheels for Linux on x86_64 only")


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    path = ":".join(str(ROOT / name) for name in ("layers/cacheaside", "functions", "."))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_defect_is_found_and_its_case_can_be_run_again(tmp_path: Path) -> None:
    status, printed = run(tmp_path, "-c", WITH_DEFECT, "entry", "-seed=1", "-runs=1000000")
    assert status == 77, printed
    again = re.search(r"make fuzz TARGET=entry CASE=(\w+)", printed)
    assert again, printed
    case = ("--target", "entry", "--case", again[1])
    sound = run(tmp_path, "-m", "proofs.fuzz", *case)
    assert sound == (0, "all properties hold for this case\n")
    broken = f"import sys; {DEFECT}; from proofs.fuzz.__main__ import main; sys.exit(main())"
    assert run(tmp_path, "-c", broken, *case)[0] == 1


@pytest.mark.parametrize("target", ["parameters", "entry", "catalogue"])
def test_cases_that_reach_new_code_are_kept(target: str, tmp_path: Path) -> None:
    status, printed = run(tmp_path, "-m", "proofs.fuzz.guided", target, "-seed=1", "-runs=500")
    assert status == 0, printed
    reached = [int(number) for number in re.findall(r"cov: (\d+)", printed)]
    assert reached[-1] > reached[0]
    assert len(list((tmp_path / ".local" / "fuzz" / target).iterdir())) > 5
