"""A checkout in which a test runs the commands of `local`: a copy of this project, or one with a small template."""

import http.client
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from local.servers.processes import HOST
from tests.component.support.timeouts import lengthen_timeouts_in
from tests.support.answer import Answer
from tests.support.ports import unclaimed_port
from tests.support.root import FUNCTIONS, ROOT
from tests.support.wait_until import wait_until

TEMPLATE = """
Globals:
  Function: {CodeUri: functions/, Timeout: 60}
Resources:
  QueryFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: told.app.handler
      Layers: [!Ref LibraryLayer]
      Environment: {Variables: {DATABASE_URL: !GetAtt Database.Endpoint.Address, CACHE_URL: "", FORGETFUL: "0"}}
      Events:
        Rest: {Type: HttpApi}
  CommandFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: told.app.handler
      Layers: [!Ref LibraryLayer]
      Events:
        Command: {Type: HttpApi, Properties: {Path: "/commands/{name}", Method: POST}}
  LibraryLayer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer}}
"""


def copy_project(folder: Path) -> "Checkout":
    """Copy this project into `folder`, with the catalogue of the tests and without bytecode.

    Its timeouts are longer: most tests expect a hit, and on a slow machine the cache may be late for a moment.
    """
    for source in (ROOT / "local", FUNCTIONS, ROOT / "layers"):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, folder)
    lengthen_timeouts_in(folder)
    return Checkout(folder)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return the output of a process up to the line with `text`."""
    assert process.stdout is not None
    read = ""
    while text not in read:
        line = process.stdout.readline()
        assert line, f"ended before {text!r}: {read}"
        read += line
    return read


@dataclass
class Checkout:
    folder: Path
    port: int = field(default_factory=unclaimed_port)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def endpoints(self) -> dict[str, str]:
        text = (self.folder / ".local/endpoints.env").read_text()
        return dict(shlex.split(line)[0].split("=", 1) for line in text.splitlines())

    def start(
        self, *arguments: str, output: int | IO[str] = subprocess.PIPE, **environment: str
    ) -> subprocess.Popen[str]:
        path = "layers/cacheaside:functions:."
        given = {"PORT": str(self.port), "SAMPLE_SIZE": "20", "PYTHONPATH": path}
        inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        return subprocess.Popen(
            [sys.executable, "-m", "local", *arguments],
            cwd=self.folder,
            env=inherited | given | environment,
            stdout=output,
            stderr=output,
            text=True,
        )

    def finish(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Return exit status, stdout and stderr of `cacheaside` with the arguments."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=600)
        return process.returncode, out, err

    @contextmanager
    def running(
        self, *, output: int | IO[str] = subprocess.PIPE, **environment: str
    ) -> Iterator[subprocess.Popen[str]]:
        """`run`, from its first answer on. Ended by SIGTERM if the test has not ended it."""
        process = self.start("run", output=output, **environment)
        try:
            wait_until(lambda: self._is_up(process))
            self.get("/")
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=120)

    def _is_up(self, process: subprocess.Popen[str]) -> bool:
        assert process.poll() is None, f"`run` has ended: {process.communicate()}, or see its output file"
        return (self.folder / ".local/endpoints.env").exists()

    def get(self, path: str, method: str = "GET") -> bytes:
        return self.answer(path, method).body

    def answer(self, path: str, method: str = "GET") -> Answer:
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=60)) as client:
            client.request(method, path)
            response = client.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
