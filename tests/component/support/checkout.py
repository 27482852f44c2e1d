"""A checkout to start the stack in, with a template of the tests' own, and what a person does there."""

import http.client
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.servers.processes import HOST
from tests.support.ports import unclaimed_port
from tests.support.until import until

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


@dataclass
class Checkout:
    folder: Path
    port: int = field(default_factory=unclaimed_port)

    @property
    def endpoints(self) -> dict[str, str]:
        text = (self.folder / ".local/endpoints.env").read_text()
        return dict(shlex.split(line)[0].split("=", 1) for line in text.splitlines())

    def start(self, command: str, **environment: str) -> subprocess.Popen[str]:
        given = {"PORT": str(self.port), "SAMPLE_PRODUCTS": "20", "PYTHONPATH": "functions:."}
        inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        return subprocess.Popen(
            [sys.executable, "-m", "local", command],
            cwd=self.folder,
            env=inherited | given | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, command: str, **environment: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr."""
        process = self.start(command, **environment)
        out, err = process.communicate(timeout=600)  # `rehearse` builds
        return process.returncode, out, err

    @contextmanager
    def running(self, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """`run`, from its first answer on; ended by SIGTERM if the test has not done so."""
        process = self.start("run", **environment)
        try:
            until(lambda: self._is_up(process))
            self.get("/")
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=120)

    def _is_up(self, process: subprocess.Popen[str]) -> bool:
        assert process.poll() is None, process.communicate()
        return (self.folder / ".local/endpoints.env").exists()

    def get(self, path: str, method: str = "GET") -> bytes:
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=60)) as client:
            client.request(method, path)
            return client.getresponse().read()
