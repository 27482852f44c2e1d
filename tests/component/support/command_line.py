"""The command line `cacheaside` in this process, on a database and a catalogue of a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from local.cli.main import main
from local.signals import Shutdown

__all__ = ["CommandLine"]


@dataclass
class CommandLine:
    catalogue: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    url: str = ""

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit status, stdout and stderr."""
        self.monkeypatch.setenv("CATALOGUE", str(self.catalogue))
        self.monkeypatch.setenv("DATABASE_URL", self.url)
        self.capsys.readouterr()
        status = main(object.__new__(Shutdown), list(arguments))  # without handlers of signals
        return status, *self.capsys.readouterr()

    def sql(self, text: str) -> str:
        """Return the path of a file with the text."""
        path = self.catalogue.parent / "given.sql"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def query(self, name: str) -> str:
        """Return the text of a query's file."""
        return (self.catalogue / f"queries/{name}.sql").read_text(encoding="utf-8")

    def migrations(self) -> list[str]:
        """Return the texts of the catalogue's migrations."""
        return [path.read_text(encoding="utf-8") for path in sorted((self.catalogue / "migrations").glob("*.sql"))]
