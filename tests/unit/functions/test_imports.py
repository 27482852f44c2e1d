"""Each function loads only the folders of the library that it needs: more would make every cold start longer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.root import ROOT

SETTINGS = {
    "AUTHENTICATION": "url",
    "DATABASE_URL": "postgresql://user@host/database",
    "CACHE_URL": "redis://host",
    "INVALIDATION": "schedule",
    "POWERTOOLS_METRICS_NAMESPACE": "cacheaside",
    "PYTHONPATH": f"{ROOT / 'layers' / 'cacheaside'}:{ROOT / 'functions'}",
}
PROGRAM = """
import importlib, json, sys
importlib.import_module(sys.argv[1] + ".app")
print(json.dumps([name.split(".")[1:] for name in sys.modules if name.startswith("cacheaside.")]))
"""
GROUND = {"catalogue", "drivers", "errors", "settings"}
SERVING = GROUND | {"http", "reading"}


@pytest.mark.parametrize(
    ("function", "folders"),
    [
        ("query", SERVING | {"clock", "health", "runtime"}),
        ("command", SERVING | {"clock", "writing"}),
        ("invalidate", SERVING | {"clock", "invalidation", "runtime"}),
        ("migrate", GROUND | {"catalogue_check"}),
    ],
)
def test_function_loads_only_its_folders_of_the_library(function: str, folders: set[str]) -> None:
    assert {module[0] for module in loaded_by(function)} == folders


def test_command_function_loads_only_keys_and_entry_of_reading() -> None:
    assert {module[-1] for module in loaded_by("command") if module[0] == "reading"} == {"reading", "keys", "entry"}


@pytest.mark.parametrize("function", ["query", "command", "invalidate", "migrate"])
def test_function_loads_no_driver_of_another_function(function: str) -> None:
    drivers = {module[-1] for module in loaded_by(function) if module[:2] == ["drivers", "postgres"]}
    expected = {"query": "queries", "command": "commands", "invalidate": "outbox", "migrate": "introspection"}
    others = {"queries", "commands", "outbox", "introspection"} - {expected[function]}
    if function == "invalidate":  # its verifier loads answers, as the query function does
        others -= {"queries"}
    assert expected[function] in drivers
    assert not drivers & others


def loaded_by(function: str) -> list[list[str]]:
    """Return the modules of the library that a new interpreter loads with the handler."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, function], env=SETTINGS, capture_output=True, text=True, check=True
    )
    modules: list[list[str]] = json.loads(done.stdout)
    return modules
