"""The settings of one configuration environment in samconfig.toml, as `sam deploy --config-env` reads them.

SAM merges the tables [ENV.global.parameters] and [ENV.deploy.parameters]; a key of the second replaces the first's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.errors import LocalError
from local.terminal import one_line

__all__ = ["Configuration", "read_configuration"]

_VALUE: Final = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?:\\.|[^\s"\\])+"""
_PAIR: Final = re.compile(rf"(?:ParameterKey=([^\s,]+),ParameterValue=|([^\s=]+)=)({_VALUE})(?:\s+|$)")


@dataclass(frozen=True)
class Configuration:
    environment: str
    stack: str
    region: str | None  # None: the region of the AWS settings of this machine
    profile: str | None
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


def read_configuration(path: Path, environment: str) -> Configuration:
    """Return the settings of `environment`. Raises `LocalError` if SAM could not read them either."""
    settings = _settings(_document(path), environment, path.name)
    stack = settings.get("stack_name")
    if not isinstance(stack, str):
        raise LocalError(f"{path.name}: [{environment}.global.parameters] has no stack_name")
    return Configuration(
        environment,
        stack,
        settings.get("region"),
        settings.get("profile"),
        dict(_pairs(settings.get("parameter_overrides", []), f"{path.name}: parameter_overrides")),
        dict(_pairs(settings.get("tags", []), f"{path.name}: tags")),
    )


def _document(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LocalError(f"there is no {path}: run in the folder of the checkout") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LocalError(f"{path.name} is not TOML: {one_line(error)}") from None
    if not isinstance(document.get("version"), float):
        raise LocalError(f"{path.name} has no `version = 0.1`, and SAM refuses it without")
    return document


def _settings(document: Mapping[str, Any], environment: str, name: str) -> dict[str, Any]:
    environments = [key for key, value in document.items() if isinstance(value, dict)]
    if environment not in environments:
        raise LocalError(f"{name} has no environment {environment}; it has {', '.join(environments) or 'none'}")
    everywhere, deploy = (
        document[environment].get(command, {}).get("parameters", {}) for command in ("global", "deploy")
    )
    return {**everywhere, **deploy}


def _pairs(given: Any, where: str) -> Iterator[tuple[str, str]]:
    """SAM takes a string of pairs, a list of such strings, and a table."""
    if isinstance(given, dict):
        for key, value in given.items():
            yield key, ",".join(map(str, value)) if isinstance(value, list) else str(value)
    elif isinstance(given, list):
        for each in given:
            yield from _pairs(each, where)
    elif isinstance(given, str) and not given.startswith("file://"):
        yield from _pairs_of(given.strip(), where)
    else:
        raise LocalError(f'{where}: {given!r} cannot be read here: write "Name=value"')


def _pairs_of(text: str, where: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            raise LocalError(f'{where}: SAM cannot read {text[at:]!r}: write Name=value, and an empty value as Name=""')
        yield pair[1] or pair[2], _unquoted(pair[3])
        at = pair.end()


def _unquoted(value: str) -> str:
    if value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return re.sub(r"\\([ \"'])", r"\1", value)
