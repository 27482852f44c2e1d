"""`cacheaside doctor` as it is typed: its output, and its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.support.root import ROOT

NO_SETTINGS = {
    "PYTHONPATH": f"{ROOT}/layers/cacheaside:{ROOT}/functions:{ROOT}",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "local", "doctor", *arguments],
        cwd=ROOT,
        env=inherited | NO_SETTINGS | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_credentials_the_command_says_so_and_checks_the_rest() -> None:
    ended = doctor("--config-env", "prod")
    first, *others = ended.stdout.splitlines()
    assert first.startswith("? account")
    assert first.endswith("only the checks without AWS are made")
    assert any(line.split() == ["✓", "stack", "name", "cacheaside-prod"] for line in others)
    assert ended.stderr == ""
    # Whether this checkout was built is not for this test to say.
    assert ended.returncode == (1 if "\n✗" in ended.stdout else 3)


def test_an_unknown_environment_is_one_line_and_status_3() -> None:
    ended = doctor("--config-env", "staging")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (3, "", 1)
    assert "has no environment staging; it has default, dev, prod" in ended.stderr


@pytest.fixture
def proxy() -> Iterator[str]:
    """The address of a server that answers everything with a page, as some proxies do."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(407)
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Sign in</title>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_answer_that_is_not_of_aws_is_no_traceback(proxy: str) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    ended = doctor(AWS_ENDPOINT_URL=proxy, AWS_DEFAULT_REGION="eu-central-1", **keys)
    assert ended.stdout.startswith("? account")
    assert "Unable to parse response" in ended.stdout.splitlines()[0]
    assert ended.stderr == ""
