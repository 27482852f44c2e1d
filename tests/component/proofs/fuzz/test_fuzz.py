"""`make fuzz`, for half a minute in all, with one seed. And each target finds a defect that is put in."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final

import pytest

from cacheaside.catalogue import parameters, sql_file
from cacheaside.drivers.cache import client
from cacheaside.drivers.postgres import connection, typed_sql
from cacheaside.reading import entry, question
from proofs.fuzz import search as search_module
from proofs.fuzz.choices import Choices
from proofs.fuzz.gateway_events import changed
from proofs.fuzz.search import failure_of, search
from proofs.fuzz.strategies import just
from proofs.fuzz.target import Target
from proofs.fuzz.targets import TARGETS
from tests.support.root import ROOT

# A case takes milliseconds, and this machine may be busy.
FOUND_WITHIN_S: Final = 120.0


def test_no_target_finds_anything_in_half_a_minute() -> None:
    command = [sys.executable, "-m", "proofs.fuzz", "--minutes", "0.5", "--seed", "16"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    cases = {name: int(count.replace(",", "")) for name, count in re.findall(r"(\S+) +([\d,]+) cases", run.stdout)}
    assert cases.keys() == TARGETS.keys()
    assert min(cases.values()) > 0, cases


def test_a_change_of_an_event_is_in_no_other_case() -> None:
    drawn: dict[str, Any] = {}
    event = changed({}, [(("headers",), drawn, False), (("headers", "if-match"), drawn, False)])
    assert (event, drawn) == ({"headers": {"if-match": {}}}, {})


@pytest.mark.parametrize(("took_s", "is_failure"), [((9, 0), False), ((9, 9), True)], ids=["once", "twice"])
def test_case_is_too_slow_if_it_is_so_twice(
    took_s: tuple[int, int], is_failure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU time of a thread may jump while a virtual machine is paused."""
    clock = iter([0, took_s[0], 0, took_s[1]])
    monkeypatch.setattr(search_module, "time", SimpleNamespace(thread_time=lambda: next(clock)))
    failure = failure_of(Target("any", just(0), lambda _: None), Choices(b""), make_small=False)
    assert (failure is not None) == is_failure
    assert list(clock) == []


DEFECTS: Final[dict[str, tuple[str, Any, str, Any]]] = {
    "two numbers have one key": ("parameters", question, "canonical", lambda value: str(value)[:9]),
    "one number has two keys": ("parameters", parameters, "SCALAR_TYPES", None),
    "a checksum is enough": ("entry", entry, "_has_answer", lambda _: True),
    "a bomb unpacks": ("entry", entry, "_BODY_AT_MOST", 10**9),
    "an error of a parser gets through": ("valkey", client, "FAILURES", (ConnectionError,)),
    "placeholders in quotes": ("catalogue", sql_file, "unquoted", lambda sql: sql),
    "no type goes with a literal": ("sql", typed_sql, "_cast", lambda value, _: f"({value})"),
    "an error of a typecaster gets through": ("postgres", connection, "_FAILURES", (connection.psycopg2.Error,)),
}


@pytest.mark.parametrize(("target", "module", "name", "defect"), DEFECTS.values(), ids=DEFECTS)
def test_defect_is_found(target: str, module: Any, name: str, defect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "SCALAR_TYPES":
        number = parameters.SCALAR_TYPES["number"]
        defect = {**parameters.SCALAR_TYPES, "number": number._replace(parse=Decimal)}
    monkeypatch.setattr(module, name, defect)
    with TARGETS[target]() as opened:
        found = search(opened, FOUND_WITHIN_S, 1, lambda *_: None, make_small=False)
    assert found.failure is not None
    assert f"make fuzz TARGET={target} SEED=" in str(found.failure)
