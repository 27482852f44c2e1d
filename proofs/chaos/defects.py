"""Deliberate defects of the product, for tests that a campaign finds them: a line of the library that is wrong."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cacheaside

__all__ = ["DEFECTS", "Defect", "with_defects"]

_LIBRARY: Final = Path(cacheaside.__file__).parent


@dataclass(frozen=True, slots=True)
class Defect:
    """`promise` is the one of the checker that it breaks."""

    name: str
    promise: str
    file: str
    right: str
    wrong: str


DEFECTS: Final = (
    Defect(
        "commands answer “done” and invalidate nothing",
        "no old answer",
        "writing/writer.py",
        "self._cache.invalidate_tags(tags)",
        "len(tags)",
    ),
    Defect(
        "without the cache there is no answer",
        "no needless 5xx",
        "reading/read_path.py",
        'return (yield from _bypass(question, context, Source.BYPASS, "cache-unavailable", last_resort))',
        'raise WaitedTooLong("the cache is gone")',
    ),
    Defect(
        "the Idempotency-Key is ignored",
        "no doubled write",
        "drivers/postgres/commands.py",
        "self._insert_key(idempotency, deadline) if idempotency else None",
        "None",
    ),
)


def with_defects(functions: Path) -> None:
    """Put a library with all these defects beside the code in `functions`, where it is found before the layer."""
    shutil.copytree(_LIBRARY, functions / "cacheaside", ignore=shutil.ignore_patterns("__pycache__"))
    for defect in DEFECTS:
        file = functions / "cacheaside" / defect.file
        text = file.read_text(encoding="utf-8")
        if text.count(defect.right) != 1:
            raise ValueError(f"{defect.file} does not have the line that is to be wrong: {defect.right}")
        text = text.replace(defect.right, defect.wrong)
        compile(text, str(file), "exec")  # else no sandbox would start, and nothing be tried
        file.write_text(text, encoding="utf-8")
