"""A catalogue that brings a sample is never applied to a database that this project did not create."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SampleRefused", "refuse_sample"]


class SampleRefused(Exception):
    """The tables of a sample would be created beside somebody's own. Nothing was touched."""


def refuse_sample(catalogue: Path) -> None:
    """Raise SampleRefused, which says what to do, if `catalogue` brings a sample: the database is somebody's own."""
    if (catalogue / "sample").is_dir():
        raise SampleRefused(
            "functions/catalogue holds the sample, which is only for a database that cacheaside itself created; "
            "nothing was changed. Take the sample out: .venv/bin/cacheaside init --database-url …"
        )
