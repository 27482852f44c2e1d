"""The catalogue: every query and command that can be called, loaded from .sql files and checked while it is loaded.

The message of an error names the file, the line and a correction. The check and a deployment refuse a catalogue with an
error. While the catalogue is being edited, only the wrong statement is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar, get_args

from cacheaside.catalogue.claims import claim_named
from cacheaside.catalogue.durations import parse_duration_ms
from cacheaside.catalogue.parameters import SCALAR_TYPES, Parameter, Value
from cacheaside.catalogue.patterns import Pattern
from cacheaside.catalogue.policy import NEW_ANSWERS, Policy, WaitedOut
from cacheaside.catalogue.sql_file import SqlFile, read_sql_file
from cacheaside.catalogue.statements import Command, Isolation, Query, Returns
from cacheaside.catalogue.tags import TAGS_AT_MOST, check_tag
from cacheaside.errors import CatalogueError, UnknownStatement

__all__ = ["Catalogue"]

_S = TypeVar("_S", Query, Command)
_T = TypeVar("_T")

_STATEMENT_KEYS: Final = frozenset({"summary", "timeout", "returns", "params"})
_COMMAND_KEYS: Final = _STATEMENT_KEYS | {"isolation"}
_QUERY_KEYS: Final = _STATEMENT_KEYS | {
    *("tags", "ttl", "stale", "stale_if_error", "negative_ttl", "jitter", "early_refresh"),
    *("wait", "waited_out", "compress", "local", "client", "verify", "new_answers"),
}
_NEW_ANSWERS_AT_MOST: Final = 1_000_000_000
_PARAMETER_KEYS: Final = frozenset(
    {
        *("type", "required", "default", "example", "description", "source"),
        *("min", "max", "min_length", "max_length", "pattern", "values"),
    }
)
_ORDERED_TYPES: Final = ("integer", "number", "date", "timestamp")
_TYPES_OF_OPTION: Final[Mapping[str, tuple[str, ...]]] = {
    "min": _ORDERED_TYPES,
    "max": _ORDERED_TYPES,
    "min_length": ("text", "a list"),
    "max_length": ("text", "a list"),
    "pattern": ("text",),
}
# API Gateway ends a request after 30 s, and the function needs some of that time itself.
_TIMEOUT_AT_MOST_MS: Final = 25_000


class Catalogue(NamedTuple):
    """All queries and commands by name. A wrong file has an error in place of its statement."""

    queries: Mapping[str, Query]
    commands: Mapping[str, Command]
    query_errors: Mapping[str, CatalogueError] = {}
    command_errors: Mapping[str, CatalogueError] = {}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read queries/*.sql and commands/*.sql in `folder`. Never raises for a wrong file: the others are served."""
        queries, query_errors = _load(folder / "queries", _query)
        commands, command_errors = _load(folder / "commands", _command)
        return cls(queries, commands, query_errors, command_errors)

    @property
    def errors(self) -> tuple[CatalogueError, ...]:
        """The errors of all files."""
        return (*self.query_errors.values(), *self.command_errors.values())

    def query(self, name: str) -> Query:
        """Return the query `name`. Raises UnknownStatement, or CatalogueError if its file is wrong."""
        if name in self.query_errors:
            raise self.query_errors[name].with_traceback(None)  # or it would keep those of all times that it was raised
        if name not in self.queries:
            raise UnknownStatement("there is no query of that name; GET /queries lists all")
        return self.queries[name]

    def command(self, name: str) -> Command:
        """Return the command `name`. Raises UnknownStatement, or CatalogueError if its file is wrong."""
        if name in self.command_errors:
            raise self.command_errors[name].with_traceback(None)
        if name not in self.commands:
            raise UnknownStatement("there is no command of that name; GET /openapi.json lists all")
        return self.commands[name]


def _load(folder: Path, read: Callable[[SqlFile], _S]) -> tuple[dict[str, _S], dict[str, CatalogueError]]:
    statements: dict[str, _S] = {}
    errors: dict[str, CatalogueError] = {}
    for path in sorted(folder.glob("[!.]*.sql")):  # editors keep hidden files beside the one that is edited
        try:
            statements[path.stem] = read(read_sql_file(path))
        except CatalogueError as error:
            errors[path.stem] = error
    return statements, errors


def _query(file: SqlFile) -> Query:
    common = _statement(file, _QUERY_KEYS)
    if "ttl" not in file.header:
        raise file.error("ttl", 'ttl is missing; say how long an answer stays fresh, such as ttl = "60s"')
    ttl_ms = _duration(file, "ttl")
    if ttl_ms == 0:
        raise file.error("ttl", 'ttl must be longer than nothing, such as ttl = "60s"')
    policy = Policy(
        ttl_ms=ttl_ms,
        stale_ms=_duration(file, "stale", "0s"),
        stale_if_error_ms=_duration(file, "stale_if_error", file.header.get("stale", "0s")),
        negative_ttl_ms=_duration(file, "negative_ttl", f"{min(ttl_ms, 5_000)}ms"),
        wait_ms=_duration(file, "wait", "10s"),
        waited_out=_waited_out(file),
        jitter=_number(file, "jitter", default="0.05", at_most=0.5),
        early_refresh=_number(file, "early_refresh", default="1", at_most=10),
        compress=_switch(file, "compress", default=True),
        local_ms=_duration(file, "local", "0s"),
        client_ms=_duration(file, "client", "0s"),
        new_answers=_new_answers(file),
    )
    verify = _switch(file, "verify", default=True)
    return Query(**common, tags=_tags(file, common["parameters"]), policy=policy, verify=verify)


def _new_answers(file: SqlFile) -> int:
    value = file.header.get("new_answers", NEW_ANSWERS)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _NEW_ANSWERS_AT_MOST:
        raise file.error("new_answers", f"new_answers must be a whole number from 1 to {_NEW_ANSWERS_AT_MOST:,}")
    return value


def _waited_out(file: SqlFile) -> WaitedOut:
    try:
        return WaitedOut(file.header.get("waited_out", "503"))
    except ValueError:
        raise file.error("waited_out", 'waited_out must be "503" or "load"') from None


def _switch(file: SqlFile, key: str, *, default: bool) -> bool:
    value = file.header.get(key, default)
    if not isinstance(value, bool):
        raise file.error(key, f"{key} must be true or false")
    return value


def _number(file: SqlFile, key: str, *, default: str, at_most: float) -> float:
    value = file.header.get(key, Decimal(default))
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= at_most:
        raise file.error(key, f"{key} must be a number from 0 to {at_most:g}")
    return float(value)


def _command(file: SqlFile) -> Command:
    common = _statement(file, _COMMAND_KEYS)
    isolation = file.header.get("isolation", "read committed")
    if isolation not in get_args(Isolation):
        levels = '"read committed", "repeatable read" or "serializable"'
        raise file.error("isolation", f"isolation must be {levels}, not {isolation!r}")
    return Command(**common, isolation=isolation)


def _statement(file: SqlFile, keys: frozenset[str]) -> dict[str, Any]:
    for key in (key for key in file.header if key not in keys):
        raise file.error(key, f"{key} is not a setting; it takes {', '.join(sorted(keys))}")
    summary = file.header.get("summary")
    if not isinstance(summary, str) or not summary:
        raise file.error("summary", 'summary is missing; say in a few words what it does, such as summary = "…"')
    returns = file.header.get("returns", "many")
    if returns not in get_args(Returns):
        raise file.error("returns", f'returns must be "many" or "one", not {returns!r}')
    timeout_ms = _duration(file, "timeout", "10s")
    if not 0 < timeout_ms <= _TIMEOUT_AT_MOST_MS:
        raise file.error("timeout", f"timeout must be more than 0 and at most {_TIMEOUT_AT_MOST_MS // 1000}s")
    return {
        "name": file.name,
        "summary": summary,
        "sql": file.sql,
        "returns": returns,
        "timeout_ms": timeout_ms,
        "parameters": _parameters(file),
    }


def _duration(file: SqlFile, key: str, default: str | None = None) -> int:
    try:
        return parse_duration_ms(file.header.get(key, default))
    except ValueError as error:
        raise file.error(key, f"{key}: {error}") from None


def _tags(file: SqlFile, parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    tags = file.header.get("tags")
    if not isinstance(tags, list):
        raise file.error("tags", 'tags is missing; list the tables that are read, such as tags = ["orders"]')
    if len(tags) > TAGS_AT_MOST:
        raise file.error("tags", f"{len(tags)} tags are too many; at most {TAGS_AT_MOST}: each is one more key to read")
    for tag in tags:
        try:
            check_tag(tag, parameters)
        except ValueError as error:
            raise file.error("tags", str(error)) from None
    return tuple(dict.fromkeys(tags))


def _parameters(file: SqlFile) -> dict[str, Parameter]:
    declared = file.header.get("params", {})
    if not isinstance(declared, dict):
        raise file.error("params", 'write one line per parameter: params.limit = { type = "integer" }')
    parameters = {name: _parameter(file, name, options) for name, options in declared.items()}
    for name, line in file.placeholders.items():
        if name not in parameters:
            raise CatalogueError(
                file.path, line, f'%({name})s is not declared; add -- params.{name} = {{ type = "…" }}'
            )
    for name in (name for name in parameters if name not in file.placeholders):
        raise file.error(f"params.{name}", f"{name} is declared but the SQL does not use %({name})s")
    return parameters


def _parameter(file: SqlFile, name: str, options: object) -> Parameter:
    key = f"params.{name}"
    if not isinstance(options, dict):
        raise file.error(key, f'{key} must be a table, such as {{ type = "integer", default = 10 }}')
    for option in (option for option in options if option not in _PARAMETER_KEYS):
        raise file.error(
            key, f"{option} is not an option of a parameter; it takes {', '.join(sorted(_PARAMETER_KEYS))}"
        )
    written = options.get("type")
    scalar, is_list = (written.removesuffix("[]"), written.endswith("[]")) if isinstance(written, str) else ("", False)
    if scalar not in SCALAR_TYPES:
        raise file.error(key, f"type must be one of {', '.join(SCALAR_TYPES)}, or a list of one, such as integer[]")
    if (scalar == "enum") != ("values" in options) or options.get("values") == []:
        raise file.error(key, f'values = ["…"] goes with type enum and only with it; {name} is of type {written}')
    try:
        _check_options(options, scalar, is_list=is_list)
        plain = Parameter(name=name, type=scalar)
        parameter = Parameter(
            name=name,
            type=scalar,
            is_list=is_list,
            required=_option(options, "required", bool, "default" not in options),
            minimum=_bound(plain, options, "min"),
            maximum=_bound(plain, options, "max"),
            min_length=_length(options, "min_length"),
            max_length=_length(options, "max_length"),
            pattern=Pattern.parse(options["pattern"]) if "pattern" in options else None,
            values=_values(options),
            description=_option(options, "description", str, ""),
            claim=claim_named(options["source"]) if "source" in options else "",
        )
        if parameter.claim and (is_list or "default" in options or "required" in options):
            raise ValueError("a claim is one value that is always there: leave out default, required and []")
        # The parameter checks its own default and example, so it must exist before they are read.
        _check_bounds(parameter)
        default, example = (_sample(parameter, options, key) for key in ("default", "example"))
        return parameter._replace(default=default, example=example)
    except (ValueError, TypeError) as error:
        raise file.error(key, f"{key}: {error}") from None


def _check_options(options: Mapping[str, Any], scalar: str, *, is_list: bool) -> None:
    """Raise ValueError for an option that does not belong to this type, and for two that exclude each other."""
    for option, types in _TYPES_OF_OPTION.items():
        if option in options and scalar not in types and not ("a list" in types and is_list):
            raise ValueError(f"{option} is for {', '.join(types)}, and not for {scalar}")
    if "default" in options and options.get("required") is True:
        raise ValueError("a parameter with a default is not required; leave out one of the two")


def _check_bounds(parameter: Parameter) -> None:
    """Raise ValueError if no value is within the bounds."""
    bounds: dict[str, tuple[Any, Any]] = {
        "min is greater than max": (parameter.minimum, parameter.maximum),
        "min_length is greater than max_length": (parameter.min_length, parameter.max_length),
    }
    for problem, (low, high) in bounds.items():
        if low is not None and high is not None and low > high:
            raise ValueError(f"{problem}: no value is within them")


def _bound(plain: Parameter, options: Mapping[str, Any], option: str) -> Any:
    return plain.from_json(options[option]) if option in options else None


def _option(options: Mapping[str, Any], option: str, kind: type[_T], default: _T) -> _T:
    value = options.get(option, default)
    if not isinstance(value, kind):
        raise ValueError(f"{option} must be {'a text' if kind is str else 'true or false'}, not {value!r}")
    return value


def _values(options: Mapping[str, Any]) -> tuple[str, ...]:
    values = options.get("values", [])
    if not isinstance(values, list) or not all(isinstance(value, str) and "\0" not in value for value in values):
        raise ValueError(f'values must be a list of texts, such as ["open", "closed"], not {values!r}')
    return tuple(values)


def _length(options: Mapping[str, Any], option: str) -> int | None:
    length = options.get(option)
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 0):
        raise ValueError(f"{option} must be a whole number, not {length!r}")
    return length


def _sample(parameter: Parameter, options: Mapping[str, Any], option: str) -> Value:
    return parameter.from_json(options[option]) if option in options else None
