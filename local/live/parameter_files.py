"""Parameters from a file: JSON lines, an object each, or CSV with a head."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.errors import LocalError

__all__ = ["read_parameters"]


def read_parameters(path: Path) -> list[dict[str, Any]]:
    """Return the parameters of each line. Raises `LocalError`, which names the line, if one cannot be read.

    An empty field of a CSV stands for no value, so that the parameter has its default.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [*(_csv if path.suffix.lower() == ".csv" else _json_lines)(path, file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LocalError(f"{path}: {error}") from None


def _csv(path: Path, file: Any) -> Iterator[dict[str, Any]]:
    rows = csv.DictReader(file, strict=True)
    for name, times in Counter(rows.fieldnames or ()).items():
        if times > 1:
            raise LocalError(f"{path}:{rows.line_num}: the head names {name!r} twice")
    for row in rows:
        if None in row or None in row.values():
            raise LocalError(f"{path}:{rows.line_num}: the line has not as many fields as the head")
        yield {name: value for name, value in row.items() if value}


def _json_lines(path: Path, file: Any) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            # A number keeps its digits.
            values = json.loads(line, parse_float=str)
            json.dumps(values, ensure_ascii=False).encode()  # a request is in UTF-8
        except RecursionError:
            raise LocalError(f"{path}:{number}: the JSON is nested too deeply") from None
        except UnicodeEncodeError:
            raise LocalError(f"{path}:{number}: it has half a surrogate pair, which is no character") from None
        except ValueError as error:
            raise LocalError(f"{path}:{number}: {error}") from None
        if not isinstance(values, dict):
            raise LocalError(f'{path}:{number}: write an object with the parameters, such as {{"id": 42}}')
        yield values
