"""Builds and packages the project as `sam deploy` does, but for an S3 on this machine, and reads what was uploaded."""

import logging
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import yaml

from local.errors import LocalError
from local.servers.processes import HOST

__all__ = ["Artifact", "Package", "host_architecture", "package"]

BUCKET = "rehearsal"
REGION = "us-east-1"
BEAT_S = 10.0

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Artifact:
    """What one or more resources are made of. `names` are their logical ids."""

    names: tuple[str, ...]
    content: bytes

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Its files, with their sizes once unpacked. Raises `LocalError` if it is no zip."""
        with self._opened() as archive:
            return {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}

    def read(self, name: str) -> bytes:
        with self._opened() as archive:
            return archive.read(name)

    def unpack(self, folder: Path) -> Path:
        with self._opened() as archive:
            archive.extractall(folder)
        return folder

    @contextmanager
    def _opened(self) -> Iterator[ZipFile]:
        try:
            archive = ZipFile(BytesIO(self.content))
        except BadZipFile as error:
            raise LocalError(f"what was uploaded for {', '.join(self.names)} is no zip: {error}") from None
        with archive:
            yield archive


@dataclass(frozen=True)
class Package:
    """What CloudFormation would be given. `template` is the packaged one, as it was written."""

    template: Path
    document: Mapping[str, Any]
    artifacts: tuple[Artifact, ...]

    def artifact(self, name: str) -> Artifact:
        """The one that the function or layer `name` is made of."""
        [found] = [artifact for artifact in self.artifacts if name in artifact.names]
        return found


def host_architecture() -> str:
    """As the template's parameter calls this machine's CPU."""
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


def package(root: Path, folder: Path, tell: Tell) -> Package:
    """Build `root` for this machine's CPU into `folder`, and upload it. Raises `LocalError`.

    Not into .aws-sam: what is there is meant for AWS, and for the CPU that somebody chose.
    """
    sam, choice = _sam(root), f"Architecture={host_architecture()}"
    built, packaged = folder / "build", folder / "packaged.yaml"
    build = [sam, "build", "--no-cached", "--build-dir", str(built), "--parameter-overrides", choice]
    _run("sam build", build, root, dict(os.environ), tell)
    with _stand_in_s3() as url:
        upload = [sam, "package", "--template-file", str(built / "template.yaml"), "--s3-bucket", BUCKET]
        upload += ["--output-template-file", str(packaged), "--region", REGION]
        _run("sam package", upload, root, _environment(url), tell)
        document = yaml.safe_load(packaged.read_text(encoding="utf-8"))
        return Package(packaged, document, tuple(_artifacts(document, url)))


def _artifacts(document: Mapping[str, Any], url: str) -> Iterator[Artifact]:
    names: dict[str, list[str]] = {}
    for name, resource in document["Resources"].items():
        for key in ("CodeUri", "ContentUri"):
            if place := resource.get("Properties", {}).get(key):
                names.setdefault(str(place), []).append(name)
    for place, users in names.items():
        if not place.startswith(f"s3://{BUCKET}/"):
            raise LocalError(f"{', '.join(users)}: {place} was not uploaded")
        yield Artifact(tuple(users), _ask(url, "GET", place.removeprefix("s3:/")))


@contextmanager
def _stand_in_s3() -> Iterator[str]:
    """The URL of moto's S3, with an empty bucket in it."""
    from moto.server import ThreadedMotoServer  # takes a moment, which only this needs

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        _ask(url, "PUT", f"/{BUCKET}")
        yield url
    finally:
        server.stop()


def _ask(url: str, method: str, path: str) -> bytes:
    with closing(HTTPConnection(url.removeprefix("http://"))) as connection:
        connection.request(method, path, headers={"Authorization": "who does not sign"})
        response = connection.getresponse()
        if response.status != 200:
            raise LocalError(f"the stand-in S3 answered {response.status} to {method} {path}")
        return response.read()


def _environment(url: str) -> dict[str, str]:
    """Of the one process that talks to the stand-in, and of no other."""
    keys = {"AWS_ACCESS_KEY_ID": "rehearsal", "AWS_SECRET_ACCESS_KEY": "rehearsal"}
    return {**os.environ, **keys, "AWS_ENDPOINT_URL_S3": url, "NO_PROXY": HOST, "no_proxy": HOST}


def _sam(root: Path) -> str:
    beside = root / ".venv-sam" / "bin" / "sam"
    program = os.environ.get("SAM") or (str(beside) if beside.exists() else shutil.which("sam"))
    if not program:
        raise LocalError("SAM CLI is missing: `make rehearse` installs it into .venv-sam; or set SAM to its path")
    return program


def _run(what: str, command: list[str], root: Path, environment: dict[str, str], tell: Tell) -> None:
    """Say now and then that it goes on, and what it said only if it failed: with `LocalError`."""
    began = time.monotonic()
    telemetry = {"SAM_CLI_TELEMETRY": "0"}
    with subprocess.Popen(
        command,
        cwd=root,
        env=environment | telemetry,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        tell(f"  {what} …")
        while True:
            try:
                said, _ = process.communicate(timeout=BEAT_S)
                break
            except subprocess.TimeoutExpired:
                tell(f"  {what} … {time.monotonic() - began:.0f} s")
            except BaseException:
                process.kill()
                raise
    if process.returncode != 0:
        raise LocalError(f"{what} failed:\n{said.strip()}")
