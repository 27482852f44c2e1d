"""Each function loads only the modules that it needs: more would make every cold start longer.

What redis-py imports itself cannot be avoided without a patch of it: `import redis` loads its asyncio clients.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.support.root import FUNCTIONS as WITH_CATALOGUE
from tests.support.root import ROOT

SETTINGS = {
    "AUTHENTICATION": "url",
    "DATABASE_URL": "postgresql://user@host/database",
    "CACHE_URL": "redis://host",
    "INVALIDATION": "schedule",
    "POWERTOOLS_METRICS_NAMESPACE": "cacheaside",
    "PYTHONPATH": f"{ROOT / 'layers' / 'cacheaside'}:{WITH_CATALOGUE}",
}
PROGRAM = """
import importlib, json, sys
importlib.import_module(sys.argv[1] + ".app")
print(json.dumps(sorted(sys.modules)))
"""
FUNCTIONS: Final = ("query", "command", "invalidate", "migrate")
GROUND = {"catalogue", "drivers", "errors", "settings"}
SERVING = GROUND | {"http", "reading"}

# The number of modules by package, of those that the layers and functions/ contain.
RECORDED: Final = Path(__file__).with_name("modules.json")
LAYER: Final = ("aws_lambda_powertools", "cacheaside", "hiredis", "jmespath", "psycopg2", "re2", "redis")
# The catalogue of the tests has no patterns, which are what re2 is for.
UNUSED: Final = {"boto3", "difflib", "multiprocessing", "pydantic", "re2", "unittest", "xml"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_number_of_modules_is_the_recorded_one(function: str) -> None:
    """A change that adds a module, or removes one, writes the new number into modules.json."""
    loaded = [name for name in loaded_by(function) if name.partition(".")[0] in (*LAYER, *FUNCTIONS)]
    counts = Counter(name.partition(".")[0] for name in loaded)
    assert dict(sorted(counts.items())) == json.loads(RECORDED.read_text())[function], "\n".join(loaded)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_loads_nothing_that_it_does_not_use(function: str) -> None:
    assert not UNUSED & set(loaded_by(function))


def test_migrate_function_loads_no_client_of_the_cache() -> None:
    assert not {"asyncio", "redis"} & set(loaded_by("migrate"))


@pytest.mark.parametrize("function", FUNCTIONS[:3])
def test_functions_of_the_api_load_powertools_for_their_first_error_only(function: str) -> None:
    assert "aws_lambda_powertools" not in loaded_by(function)


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
    assert {module[0] for module in library_of(function)} == folders


def test_command_function_loads_only_keys_and_entry_of_reading() -> None:
    assert {module[-1] for module in library_of("command") if module[0] == "reading"} == {"reading", "keys", "entry"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_loads_no_driver_of_another_function(function: str) -> None:
    drivers = {module[-1] for module in library_of(function) if module[:2] == ["drivers", "postgres"]}
    expected = {"query": "queries", "command": "commands", "invalidate": "outbox", "migrate": "introspection"}
    others = {"queries", "commands", "outbox", "introspection"} - {expected[function]}
    if function == "invalidate":  # its verifier loads answers, as the query function does
        others -= {"queries"}
    assert expected[function] in drivers
    assert not drivers & others


def library_of(function: str) -> list[list[str]]:
    return [name.split(".")[1:] for name in loaded_by(function) if name.startswith("cacheaside.")]


@cache
def loaded_by(function: str) -> list[str]:
    """Return the modules that a new interpreter loads with the handler."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, function], env=SETTINGS, capture_output=True, text=True, check=True
    )
    modules: list[str] = json.loads(done.stdout)
    return modules
