"""The settings of one configuration environment in samconfig.toml, as `sam deploy --config-env` reads them.

SAM merges the tables [ENV.global.parameters] and [ENV.deploy.parameters]; a key of the second replaces the first's.
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import LocalError
from local.terminal import one_line

__all__ = ["Configuration", "read_configuration"]


@dataclass(frozen=True)
class Configuration:
    environment: str
    stack: str
    region: str | None  # None: the region of the AWS settings of this machine
    profile: str | None
    parameters: Mapping[str, str]


def read_configuration(path: Path, environment: str) -> Configuration:
    """Return the settings of `environment`. Raises `LocalError` if they cannot be read."""
    settings = _settings(_document(path), environment, path.name)
    stack = settings.get("stack_name")
    if not isinstance(stack, str):
        raise LocalError(f"{path.name}: [{environment}.global.parameters] has no stack_name")
    parameters = dict(_pairs(settings.get("parameter_overrides", []), path.name))
    return Configuration(environment, stack, settings.get("region"), settings.get("profile"), parameters)


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LocalError(f"there is no {path}: run in the folder of the checkout") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LocalError(f"{path.name} is not TOML: {one_line(error)}") from None


def _settings(document: Mapping[str, Any], environment: str, name: str) -> dict[str, Any]:
    environments = [key for key, value in document.items() if isinstance(value, dict)]
    if environment not in environments:
        raise LocalError(f"{name} has no environment {environment}; it has {', '.join(environments) or 'none'}")
    everywhere, deploy = (
        document[environment].get(command, {}).get("parameters", {}) for command in ("global", "deploy")
    )
    return {**everywhere, **deploy}


def _pairs(given: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield each parameter. SAM takes a text with pairs, a list of such texts, or a table."""
    if isinstance(given, dict):
        for key, value in given.items():
            yield key, ",".join(map(str, value)) if isinstance(value, list) else str(value)
        return
    for text in given if isinstance(given, list) else [given]:
        try:
            pairs = [pair.partition("=") for pair in shlex.split(text)]
        except (AttributeError, TypeError, ValueError):
            pairs = [("", "", "")]
        if not all(key and equals for key, equals, _ in pairs):
            raise LocalError(f'{name}: parameter_overrides: write "Name=value" instead of {text!r}')
        yield from ((key, value) for key, _, value in pairs)
