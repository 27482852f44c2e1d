"""`make audit` fails for every advisory that is not accepted, and for every package that was not looked up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from proofs.supply_chain import advisories
from proofs.supply_chain.advisories import Accepted, judge, read_accepted
from tests.support.root import ROOT

TODAY = date(2026, 11, 29)
VULNERABLE = {
    "name": "jmespath",
    "version": "1.1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1", "GHSA-1"], "fix_versions": ["1.2"], "description": "It loops."}],
}


def accepted(**changes: Any) -> Accepted:
    entry = {"package": "jmespath", "id": "GHSA-1", "reason": "never called", "until": date(2026, 12, 31)}
    return Accepted(**(entry | changes))


def test_advisory_is_a_problem_that_names_the_version_to_take() -> None:
    [problem] = judge([VULNERABLE], [], TODAY)
    assert problem == "jmespath 1.1.0 has PYSEC-1, fixed in 1.2: It loops."


def test_accepted_advisory_is_none_by_any_of_its_names() -> None:
    for name in ("PYSEC-1", "CVE-1", "GHSA-1"):
        assert judge([VULNERABLE], [accepted(id=name)], TODAY) == []


def test_advisory_is_accepted_for_one_package_only() -> None:
    assert len(judge([VULNERABLE], [accepted(package="redis")], TODAY)) == 2


def test_accepted_advisory_is_looked_at_again_after_its_day() -> None:
    assert judge([VULNERABLE], [accepted(until=TODAY)], TODAY) == []
    [problem] = judge([VULNERABLE], [accepted(until=date(2026, 11, 28))], TODAY)
    assert "was accepted until 2026-11-28: never called" in problem


def test_accepted_advisory_that_is_gone_is_removed_from_the_list() -> None:
    [problem] = judge([VULNERABLE | {"vulns": []}], [accepted()], TODAY)
    assert "no longer found" in problem


def test_package_that_could_not_be_looked_up_does_not_pass() -> None:
    assert judge([{"name": "jmespath", "skip_reason": "not found"}], [], TODAY)


@pytest.mark.parametrize("changes", [{"reason": " "}, {"until": "2026-12-31"}])
def test_nothing_is_accepted_without_a_reason_and_a_day(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="GHSA-1 needs a reason"):
        accepted(**changes)


def test_list_of_this_project_can_be_read() -> None:
    assert isinstance(read_accepted(Path(advisories.__file__).with_name("accepted.toml")), list)


class _Osv(BaseHTTPRequestHandler):
    """Knows one advisory, for one version of one package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found: dict[str, Any] = {}
        if (asked["package"]["name"], asked["version"]) == ("typing-extensions", self.server.vulnerable):  # type: ignore[attr-defined]
            package = {"name": "typing-extensions", "ecosystem": "PyPI"}
            fixed = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}]
            found = {
                "vulns": [{"id": "GHSA-9", "summary": "Bad.", "affected": [{"package": package, "ranges": fixed}]}]
            }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def osv() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Osv) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_pinned_version_with_an_advisory_fails_the_audit(osv: ThreadingHTTPServer) -> None:
    pins = ROOT / "layers/dependencies/requirements.txt"
    version = pins.read_text().partition("typing-extensions==")[2].split()[0]
    for vulnerable, status, summary in (
        ("1", 0, "7 packages audited, 0 problems"),
        (version, 1, "GHSA-9, fixed in 99: Bad."),
    ):
        osv.vulnerable = vulnerable  # type: ignore[attr-defined]
        command = [
            sys.executable,
            "-m",
            "proofs.supply_chain.advisories",
            "--osv-url",
            f"http://127.0.0.1:{osv.server_port}",
        ]
        audited = subprocess.run([*command, pins], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=300)
        assert (audited.returncode, summary in audited.stdout) == (status, True), audited.stdout
