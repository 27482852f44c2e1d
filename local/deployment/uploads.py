"""The artifacts that `sam deploy` has uploaded for a stack, and the template that names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

import yaml

from local.deployment.ministack import Emulator
from local.errors import LocalError

__all__ = ["Artifact", "Package", "uploaded"]


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

    @cached_property
    def _archive(self) -> ZipFile:
        try:
            return ZipFile(BytesIO(self.content))
        except BadZipFile as error:
            raise LocalError(f"the upload for {', '.join(self.names)} is no zip: {error}") from None


@dataclass(frozen=True)
class Package:
    """What CloudFormation was given: the template, with the places of the artifacts, and these."""

    document: Mapping[str, Any]
    artifacts: tuple[Artifact, ...]


def uploaded(emulator: Emulator, stack: str) -> Package:
    """Return what was uploaded for the stack. Raises `LocalError` if something was not."""
    described = emulator.client("cloudformation").get_template(StackName=stack, TemplateStage="Original")
    document = yaml.safe_load(described["TemplateBody"])
    names: dict[str, list[str]] = {}
    for name, resource in document["Resources"].items():
        for key in ("CodeUri", "ContentUri"):
            if place := resource.get("Properties", {}).get(key):
                names.setdefault(str(place), []).append(name)
    s3 = emulator.client("s3")
    artifacts = []
    for place, users in names.items():
        if not place.startswith("s3://"):
            raise LocalError(f"{', '.join(users)}: {place} was not uploaded")
        bucket, _, key = place.removeprefix("s3://").partition("/")
        artifacts.append(Artifact(tuple(users), s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    return Package(document, tuple(artifacts))
