"""Which licence a package has, by its metadata, and whether licences.toml allows it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageMetadata
from pathlib import Path

from cyclonedx.spdx import is_supported_id

__all__ = ["Policy", "licences", "normal_name"]

_OPERATORS = re.compile(r"\s+(?:AND|OR)\s+|[()]")


def normal_name(name: str) -> str:
    """Return the name as the requirements spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licences(metadata: PackageMetadata) -> list[str]:
    """Return the licences that a package names: by SPDX identifiers if it has them, else by classifiers or in words."""
    text = metadata["License"] or ""
    if expression := metadata["License-Expression"] or (text if is_supported_id(text) else ""):
        return [part for part in _OPERATORS.split(expression) if part]
    classifiers = [each.split(" :: ") for each in metadata.get_all("Classifier") or []]
    named = [parts[-1] for parts in classifiers if parts[0] == "License" and parts[-1] != "OSI Approved"]
    return named or [part for part in _OPERATORS.split(text.partition("\n")[0]) if part]


@dataclass(frozen=True)
class Policy:
    """The content of licences.toml."""

    deployed: frozenset[str]
    development: frozenset[str]
    looked_at: frozenset[str]

    @classmethod
    def read(cls) -> Policy:
        table = tomllib.loads(Path(__file__).with_name("licences.toml").read_text())
        deployed, development = frozenset(table["deployed"]), frozenset(table["development"])
        return cls(deployed, deployed | development, frozenset(table["package"]))

    def refuses(self, metadata: PackageMetadata, *, deployed: bool) -> list[str]:
        """Return the licences that are not allowed. Of a package without any: "no licence"."""
        if normal_name(metadata["Name"]) in self.looked_at:
            return []
        allowed = self.deployed if deployed else self.development
        return [each for each in licences(metadata) or ["no licence"] if each not in allowed]
