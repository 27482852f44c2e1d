"""Builds and packages the project as `sam deploy` does, uploads it to a stand-in for S3, and reads the uploads."""

import logging
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
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
from local.sam_cli import find_sam, host_architecture
from local.servers.processes import HOST
from local.terminal import PrintLine

__all__ = ["Artifact", "Package", "build_package"]

BUCKET = "rehearsal"
REGION = "us-east-1"
PROGRESS_S = 10.0


@dataclass(frozen=True)
class Artifact:
    """An uploaded zip. `names` are the logical ids of the resources that use it."""

    names: tuple[str, ...]
    content: bytes

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The unpacked size of each file. Raises `LocalError` if `content` is no zip."""
        return {info.filename: info.file_size for info in self._archive.infolist() if not info.is_dir()}

    def read(self, name: str) -> bytes:
        return self._archive.read(name)

    def unpack(self, folder: Path) -> Path:
        self._archive.extractall(folder)
        return folder

    @cached_property
    def _archive(self) -> ZipFile:
        try:
            return ZipFile(BytesIO(self.content))
        except BadZipFile as error:
            raise LocalError(f"the upload for {', '.join(self.names)} is no zip: {error}") from None


@dataclass(frozen=True)
class Package:
    """The input of CloudFormation. `template` is the file that `sam package` wrote, `document` its content."""

    template: Path
    document: Mapping[str, Any]
    artifacts: tuple[Artifact, ...]

    def artifact(self, name: str) -> Artifact:
        """Return the one of the function or layer `name`."""
        [found] = [artifact for artifact in self.artifacts if name in artifact.names]
        return found


def build_package(root: Path, folder: Path, print_line: PrintLine) -> Package:
    """Build `root` for this machine's CPU into `folder`, and upload it. Raises `LocalError`.

    Does not build into .aws-sam: that build is for AWS, and may be for another CPU.
    """
    sam, choice = str(find_sam(root)), f"Architecture={host_architecture()}"
    built, packaged = folder / "build", folder / "packaged.yaml"
    build = [sam, "build", "--no-cached", "--build-dir", str(built), "--parameter-overrides", choice]
    _run("sam build", build, root, dict(os.environ), print_line)
    with _stand_in_s3() as url:
        upload = [sam, "package", "--template-file", str(built / "template.yaml"), "--s3-bucket", BUCKET]
        upload += ["--output-template-file", str(packaged), "--region", REGION]
        _run("sam package", upload, root, _s3_environment(url), print_line)
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
        yield Artifact(tuple(users), _s3_request(url, "GET", place.removeprefix("s3:/")))


@contextmanager
def _stand_in_s3() -> Iterator[str]:
    """The URL of moto's S3, which has an empty bucket."""
    from moto.server import ThreadedMotoServer  # imported late, because it takes a moment

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        _s3_request(url, "PUT", f"/{BUCKET}")
        yield url
    finally:
        server.stop()


def _s3_request(url: str, method: str, path: str) -> bytes:
    with closing(HTTPConnection(url.removeprefix("http://"))) as connection:
        connection.request(method, path, headers={"Authorization": "not signed"})  # moto needs two words
        response = connection.getresponse()
        if response.status != 200:
            raise LocalError(f"the stand-in S3 answered {response.status} to {method} {path}")
        return response.read()


def _s3_environment(url: str) -> dict[str, str]:
    """Return the environment of the process that uploads to the stand-in."""
    keys = {"AWS_ACCESS_KEY_ID": "rehearsal", "AWS_SECRET_ACCESS_KEY": "rehearsal"}
    return {**os.environ, **keys, "AWS_ENDPOINT_URL_S3": url, "NO_PROXY": HOST, "no_proxy": HOST}


def _run(name: str, command: list[str], root: Path, environment: dict[str, str], print_line: PrintLine) -> None:
    """Print a line every 10 s. Raises `LocalError`, with the output of the command, if it fails."""
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
        print_line(f"  {name} …")
        while True:
            try:
                output, _ = process.communicate(timeout=PROGRESS_S)
                break
            except subprocess.TimeoutExpired:
                print_line(f"  {name} … {time.monotonic() - began:.0f} s")
            except BaseException:
                process.kill()
                raise
    if process.returncode != 0:
        raise LocalError(f"{name} failed:\n{output.strip()}")
