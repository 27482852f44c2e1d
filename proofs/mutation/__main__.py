"""`python -m proofs.mutation [ROOM …]`: tests the tests of the core. Status 1 if a mutant survives without explanation.

A room is a folder or a file of the library, such as `reading` or `drivers/breaker.py`. A run that was stopped goes on
where it was, as long as neither the library nor the tests have changed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import tomllib
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import Final

import pytest

from local.progress import Progress
from proofs.mutation.execution import Execution, Verdict
from proofs.mutation.mutants import LIBRARY, Placed, mutants_of

_ROOT: Final = Path(__file__).parents[2]
_FOLDER: Final = _ROOT / ".local" / "mutation"
_EXPLAINED: Final = Path(__file__).with_name("explained.toml")
ROOMS: Final = ("reading", "writing", "invalidation", "catalogue", "catalogue_check")
_SURVIVED: Final = ("survived", "untested")


def main() -> int:
    parser = argparse.ArgumentParser(prog="proofs.mutation", description=__doc__)
    parser.add_argument("rooms", nargs="*", default=ROOMS, metavar="ROOM")
    parser.add_argument("--again", action="store_true", help="try only those that survived, after tests were added")
    arguments = parser.parse_args()
    rooms = arguments.rooms
    _FOLDER.mkdir(parents=True, exist_ok=True)
    results = _Results(_FOLDER / "results.jsonl", again=arguments.again)
    tests = sorted({f"tests/unit/{room.partition('/')[0]}" for room in rooms})
    placed = {room: [each for path in files_of(room) for each in mutants_of(path)] for room in rooms}
    todo = [each for of_room in placed.values() for each in of_room if each.mutant.name not in results.verdicts]
    progress, total = Progress("Mutants"), sum(map(len, placed.values()))

    def done(each: Placed, verdict: Verdict) -> None:
        results.add(each.mutant.name, verdict)
        progress(len(results.verdicts.keys() & names), total)

    names = {each.mutant.name for of_room in placed.values() for each in of_room}
    with tempfile.TemporaryDirectory() as scratch:
        execution = Execution(todo, _FOLDER, scratch, done)
        options = ["-q", "-x", "-s", "-p", "no:cacheprovider", "--no-header", "--no-summary"]
        if todo:
            pytest.main([*options, *tests], plugins=[execution])
    if execution.failure:
        print(execution.failure, file=sys.stderr)
        return 2
    return _report(placed, results.verdicts)


class _Results:
    """The verdicts by the name of the mutant, kept in a file. They count for one state of the library and the tests.

    With `again` those of an earlier state count too, but for the mutants that survived.
    """

    def __init__(self, path: Path, *, again: bool) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self._path, state = path, _fingerprint()
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        known = dict(map(json.loads, lines[1:]))
        path.write_text(f"{state}\n", encoding="utf-8")
        for name, verdict in known.items():
            if (again and verdict not in _SURVIVED) or (not again and lines[0] == state):
                self.add(name, verdict)

    def add(self, name: str, verdict: Verdict) -> None:
        self.verdicts[name] = verdict
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps([name, verdict])}\n")


def _fingerprint() -> str:
    digest = blake2b(digest_size=16)
    for path in sorted({*LIBRARY.rglob("*.py"), *(_ROOT / "tests" / "unit").rglob("*.py")}):
        digest.update(f"{path}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def files_of(room: str) -> list[Path]:
    """Return the files of a room."""
    path = LIBRARY / "cacheaside" / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def explained_mutants() -> dict[str, str]:
    """Return why each mutant of explained.toml may survive."""
    kinds = tomllib.loads(_EXPLAINED.read_text(encoding="utf-8")).get("kind", [])
    return {name: kind["why"] for kind in kinds for name in kind["mutants"]}


def _report(placed: dict[str, list[Placed]], verdicts: dict[str, Verdict]) -> int:
    explained = explained_mutants()
    print(f"{'room':<28} {'mutants':>8} {'killed':>8} {'timeout':>8} {'survived':>9} {'explained':>10}")
    wrong: list[str] = []
    for room, of_room in placed.items():
        counts = Counter(verdicts[each.mutant.name] for each in of_room)
        survivors = [each.mutant for each in of_room if verdicts[each.mutant.name] in _SURVIVED]
        known = sum(mutant.name in explained for mutant in survivors)
        numbers = f"{len(of_room):>8,} {counts['killed']:>8,} {counts['timeout']:>8,} {len(survivors):>9,} {known:>10,}"
        print(f"{room:<28} {numbers}")
        wrong += [
            f"layers/cacheaside/{each.path}:{each.line}: {verdicts[each.name]}: {each.name}"
            for each in survivors
            if each.name not in explained
        ]
        wrong += [
            f"explained, and killed now: {each.mutant.name}"
            for each in of_room
            if each.mutant.name in explained and verdicts[each.mutant.name] not in _SURVIVED
        ]
    for line in wrong:
        print(line)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
