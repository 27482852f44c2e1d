"""A short `make soak` of a stack that leaks on purpose: each leak is found, and what does not leak is flat."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.functions_folder import FUNCTIONS
from proofs.soak.report import SoakReport
from proofs.soak.run import soak

# What a handler could leave behind: an object that some list keeps, a file, a connection to each server, a thread that
# waits for ever, a key that never ends.
LEAKS = """
import os, threading, psycopg2, redis

_kept, _handler = [], handler

def handler(event, context):
    if len(_kept) % 40 == 0:
        _kept.append(psycopg2.connect(os.environ["DATABASE_URL"]))
        _kept.append(redis.Redis.from_url(os.environ["CACHE_URL"]))
        _kept[-1].set(f"cacheaside:entry:{{{os.getpid()}:{len(_kept)}}}", b"")
    if len(_kept) % 10 == 0:
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        thread.start()
    _kept.append((bytearray(os.urandom(50_000)), open(os.devnull)))
    return _handler(event, context)
"""
GROWING = (
    *("memory, MB: query sandboxes", "file descriptors: query sandboxes", "threads: query sandboxes"),
    *("connections: Valkey", "connections: PostgreSQL", "keys: without an end"),
)
FLAT = (
    *("file descriptors: command sandboxes", "threads: command sandboxes", "processes: query sandboxes"),
    *("threads: Valkey", "keys: others", "file descriptors: gateway"),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> SoakReport:
    functions = tmp_path_factory.mktemp("leaking")
    leaking = Path(shutil.copytree(FUNCTIONS / "query", functions / "query")) / "app.py"
    leaking.write_text(leaking.read_text() + LEAKS)
    for seconds in (30, 60, 120):  # on a busy machine too few samples are taken, or a stall looks like a trend
        report = soak(seconds, lambda _done, _total: None, functions)
        if set(GROWING) <= set(report.growing) and not set(FLAT) & set(report.growing):
            break
    return report


@pytest.mark.parametrize("name", GROWING)
def test_leak_is_found(report: SoakReport, name: str) -> None:
    assert name in report.growing, report


@pytest.mark.parametrize("name", FLAT)
def test_what_does_not_leak_is_flat(report: SoakReport, name: str) -> None:
    assert name not in report.growing, report


def test_run_with_a_leak_does_not_hold_and_was_answered(report: SoakReport) -> None:
    assert not report.held
    assert report.requests > 200
    assert sum(report.unexpected.values()) < report.requests / 20, report


def test_table_and_plot_are_written_into_the_page(report: SoakReport, tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text("before\n<!-- soak -->\nold\n<!-- end -->\nafter\n")
    report.write(tmp_path)
    text = page.read_text()
    assert text.startswith("before\n<!-- soak -->\n| series |")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    assert "memory, MB: query sandboxes" in text
    assert "<svg" in (tmp_path / "figures" / "soak.svg").read_text()
