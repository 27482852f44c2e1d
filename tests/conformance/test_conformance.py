"""Thousands of requests made from the OpenAPI document, valid and not. Every answer must be one that it describes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from tests.support.openapi_document import check_document
from tests.support.root import ROOT

FOLDER: Final = Path(__file__).parent
# For each operation, beside those that cover each rule of its schemas. `make test` has a minute.
EXAMPLES: Final = int(os.environ.get("CONFORMANCE_EXAMPLES", "10"))
SEED: Final = os.environ.get("CONFORMANCE_SEED", "1")


def test_every_row_is_typed(address: str) -> None:
    """Else the next test would compare rows with nothing."""
    with urlopen(f"{address}/openapi.json") as answer:  # noqa: S310  # of this machine
        document = json.load(answer)
    assert check_document(document) > 100
    rows = {
        name: each for name, each in document["components"]["schemas"].items() if name.endswith(("_row", "_result"))
    }
    assert len(rows) == 11
    assert all("properties" in row for row in rows.values()), rows


def test_every_answer_is_as_the_document_says(address: str, record_property: Callable[[str, Any], None]) -> None:
    # One worker. While two threads run ast.parse, Python 3.11.7 may raise SystemError, "AST constructor recursion depth
    # mismatch" (CPython issue 106905: all threads share one counter). Hypothesis parses sources while it generates.
    run = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml"), "run"]
    options = ["--mode", "all", "--checks", "all", "--workers", "1", "--continue-on-failure", "--no-color"]
    limits = ["--max-examples", str(EXAMPLES), "--seed", SEED, "--generation-database", "none"]
    done = subprocess.run(
        [*run, f"{address}/openapi.json", *options, *limits],
        cwd=ROOT,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.conformance.hooks", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"([0-9]+) generated, ([0-9]+) passed", done.stdout)
    assert counted, done.stdout
    assert counted[1] == counted[2]
    assert int(counted[1]) > 1_000, "an operation is not tested"
    record_property("requests of schemathesis that were answered as documented", counted[1])
