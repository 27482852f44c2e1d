"""`python -m proofs.mutation [ROOM …]`: status 1 if a mutant survives without explanation, or one is explained in vain.

A room is a folder or a file of the library, such as `reading` or `drivers/breaker.py`. mutmut works in a folder below
.local, one for each room, and goes on there after a stop.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["differences", "explained_mutants", "name_of"]

_ROOT: Final = Path(__file__).parents[2]
_EXPLAINED: Final = Path(__file__).with_name("explained.toml")
_MUTMUT: Final = str(Path(sys.executable).with_name("mutmut"))
_CHILDREN: Final = "2"
_ROOMS: Final = ("reading", "writing", "invalidation", "catalogue", "catalogue_check")
_SURVIVED: Final = ("survived", "no tests", "suspicious", "segfault")
_UNTRIED: Final = ("not checked", "check was interrupted by user")


def main() -> int:
    parser = argparse.ArgumentParser(prog="proofs.mutation", description=__doc__)
    parser.add_argument("rooms", nargs="*", default=_ROOMS, metavar="ROOM")
    parser.add_argument(
        "--again", action="store_true", help="try only those that were not killed, as after tests were added"
    )
    arguments = parser.parse_args()
    return max([_attack(room, again=arguments.again) for room in arguments.rooms])


def _attack(room: str, *, again: bool) -> int:
    folder = _folder(room)
    if not again:
        _run(folder)
    elif names := [name for name, status in _results(folder).items() if status != "killed"]:
        _run(folder, *names)
    results = _results(folder)
    if again and (names := [name for name, status in results.items() if status in _UNTRIED]):
        _run(folder, *names)  # those of functions that were changed: only the run before has made them
        results = _results(folder)
    counts = Counter(results.values())
    print(f"{room}: {len(results)} mutants,", ", ".join(f"{count} {status}" for status, count in counts.items()))
    survivors = [name_of(_mutmut(folder, "show", name)) for name, status in results.items() if status in _SURVIVED]
    explained = [name for name in explained_mutants() if name.startswith((f"{room}/", f"{room} "))]
    wrong = [f"not tried: {name}" for name, status in results.items() if status in _UNTRIED]
    wrong = wrong or differences(survivors, explained)
    for line in wrong:
        print(line)
    return int(bool(wrong))


def _run(folder: Path, *mutants: str) -> None:
    command = [_MUTMUT, "run", "--max-children", _CHILDREN, *mutants]
    subprocess.run(command, cwd=folder, env=_environment(), check=True)


def _folder(room: str) -> Path:
    """Lay out a folder whose `src/cacheaside` is the library: mutmut takes the names of modules from paths."""
    folder = _ROOT / ".local" / "mutation" / room.replace("/", "-")
    shutil.rmtree(folder / "mutants" / "tests", ignore_errors=True)  # a test that was removed would stay
    (folder / "src").mkdir(parents=True, exist_ok=True)
    for name, source in {
        "src/cacheaside": "layers/cacheaside/cacheaside",
        "tests": "tests",
        "proofs": "proofs",
    }.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(_ROOT / source)
    mutated = room if room.endswith(".py") else f"{room}/*"
    options = {
        "only_mutate": [f"src/cacheaside/{mutated}"],
        "pytest_add_cli_args_test_selection": [f"tests/unit/{room.partition('/')[0]}"],
    }
    text = (_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = "".join(f"{name} = {value}\n" for name, value in options.items())
    text = text.replace("[tool.mutmut]\n", f"[tool.mutmut]\n{lines}")
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def _environment() -> dict[str, str]:
    """Return our environment without PYTHONPATH, which names the library without mutants."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _mutmut(folder: Path, *arguments: str) -> str:
    command = [_MUTMUT, *arguments]
    return subprocess.run(command, cwd=folder, env=_environment(), stdout=subprocess.PIPE, text=True, check=True).stdout


def _results(folder: Path) -> dict[str, str]:
    """Return the status of each mutant, by its name in mutmut."""
    return dict(re.findall(r"^ +(\S+): (.+)$", _mutmut(folder, "results", "--all", "true"), re.M))


def name_of(shown: str) -> str:
    """Return the name in explained.toml, of what `mutmut show` prints: the number of mutmut changes with other code."""
    title, *lines = shown.splitlines()
    scope = title.split()[1].rpartition(".")[2].partition("__mutmut_")[0]
    function = scope.removeprefix("x_") if scope.startswith("x_") else scope.removeprefix("xǁ").replace("ǁ", ".")
    path = next(line for line in lines if line.startswith("--- ")).removeprefix("--- src/cacheaside/")
    changed = lines[lines.index(f"+++ src/cacheaside/{path}") + 1 :]
    before, after = (" ".join(line[1:].strip() for line in changed if line.startswith(sign)) for sign in "-+")
    return f"{path} {function}: {before} → {after or 'nothing'}"


def explained_mutants() -> list[str]:
    kinds = tomllib.loads(_EXPLAINED.read_text(encoding="utf-8")).get("kind", [])
    return [name for kind in kinds for name in kind["mutants"]]


def differences(survivors: Iterable[str], explained: Iterable[str]) -> list[str]:
    """Compare the two. A name may be in them twice: a function may have the same line twice."""
    found, known = Counter(survivors), Counter(explained)
    return [
        *(f"survived: {name}" for name in (found - known).elements()),
        *(f"explained, and killed now: {name}" for name in (known - found).elements()),
    ]


if __name__ == "__main__":
    sys.exit(main())
