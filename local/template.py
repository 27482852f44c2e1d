"""Reads functions, routes and schedules from template.yaml, which is the only list of them.

CloudFormation itself is not evaluated. As in `sam local`, a parameter has its default, and a value that only a
deployment knows is the empty string.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.errors import LocalError
from local.terminal import one_line

__all__ = ["Function", "Route", "Schedule", "Template", "read_document", "read_template"]

Json = dict[str, Any]

RATE = re.compile(r"rate\(([1-9][0-9]*) (minute|hour|day)s?\)")
SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True)
class Function:
    name: str  # the logical id
    handler: str
    paths: tuple[Path, ...]  # the folders of modules, in Lambda's order: the code, then the layers
    timeout: float  # in seconds
    memory: int  # in MB
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Route:
    method: str  # ANY is every method; empty for $default
    path: str
    function: str

    @property
    def key(self) -> str:
        """The route key of API Gateway: `GET /queries/{name}`, `$default`."""
        return f"{self.method} {self.path}".strip()


@dataclass(frozen=True)
class Schedule:
    name: str  # the logical id that SAM makes of function and event
    function: str
    interval: float  # in seconds
    input: Any = None  # the event; None: the one that EventBridge Scheduler makes itself


@dataclass(frozen=True)
class Template:
    functions: Mapping[str, Function]
    routes: tuple[Route, ...]
    schedules: tuple[Schedule, ...] = ()


def read_template(path: Path) -> Template:
    """Raises `LocalError` for a missing or broken file, and for a schedule that is no rate."""
    return _Reader(path.resolve().parent, read_document(path)).template()


def read_document(path: Path) -> Json:
    """Return the whole template, with the long form of CloudFormation's functions. Raises `LocalError`."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise LocalError(f"there is no {path}: run in the folder of the checkout") from None
    except yaml.YAMLError as error:
        raise LocalError(f"{path} is not YAML: {one_line(error)}") from None
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise LocalError(f"{path} has no Resources")
    return document


class _Reader:
    def __init__(self, root: Path, document: Json) -> None:
        self._root = root
        self._resources: Json = document["Resources"]
        self._globals: Json = document.get("Globals", {}).get("Function", {})
        parameters = document.get("Parameters", {})
        self._defaults = {name: _text(parameter.get("Default", "")) for name, parameter in parameters.items()}

    def template(self) -> Template:
        functions = {}
        routes: list[Route] = []
        schedules: list[Schedule] = []
        for name, resource in self._resources.items():
            if resource.get("Type") == "AWS::Serverless::Function":
                properties = resource.get("Properties", {})
                functions[name] = self._function(name, properties)
                events = properties.get("Events", {})
                routes += self._routes(name, events)
                schedules += self._schedules(name, events)
        return Template(functions, tuple(routes), tuple(schedules))

    def _function(self, name: str, properties: Json) -> Function:
        merged = {**self._globals, **properties}
        layers = [*self._globals.get("Layers", []), *properties.get("Layers", [])]
        variables = {
            key: self._value(value)
            for section in (self._globals, properties)
            for key, value in section.get("Environment", {}).get("Variables", {}).items()
        }
        return Function(
            name,
            handler=merged["Handler"],
            paths=(self._root / merged["CodeUri"], *self._layer_paths(layers)),
            timeout=float(self._value(merged.get("Timeout", 3))),
            memory=int(self._value(merged.get("MemorySize", 128))),
            environment=variables,
        )

    def _layer_paths(self, layers: list[Any]) -> list[Path]:
        named = [self._resources.get(layer["Ref"]) for layer in layers if isinstance(layer, dict) and "Ref" in layer]
        return [self._root / layer["Properties"]["ContentUri"] for layer in named if layer is not None]

    def _routes(self, function: str, events: Json) -> list[Route]:
        properties = [event.get("Properties", {}) for event in events.values() if event.get("Type") == "HttpApi"]
        return [_route(given.get("Method", ""), given.get("Path", "$default"), function) for given in properties]

    def _schedules(self, function: str, events: Json) -> list[Schedule]:
        return [
            self._schedule(function, name, event.get("Properties", {}))
            for name, event in events.items()
            if event.get("Type") == "ScheduleV2"
        ]

    def _schedule(self, function: str, event: str, properties: Json) -> Schedule:
        expression = self._value(properties.get("ScheduleExpression", ""))
        rate = RATE.fullmatch(expression)
        if rate is None:
            raise LocalError(f"{function}.{event}: {expression!r} cannot run here, a rate such as rate(1 minute) can")
        try:
            given = json.loads(self._value(properties.get("Input", "")) or "null")
        except ValueError:
            raise LocalError(f"{function}.{event}: its Input is not JSON") from None
        return Schedule(f"{function}{event}", function, float(rate[1]) * SECONDS[rate[2]], given)

    def _value(self, value: Any) -> str:
        if isinstance(value, dict):
            return self._defaults.get(value.get("Ref", ""), "")
        return _text(value)


def _route(method: str, path: str, function: str) -> Route:
    if path == "$default":
        return Route("", path, function)
    method = method.upper()
    return Route("ANY" if method in ("*", "X-AMAZON-APIGATEWAY-ANY-METHOD") else method, path, function)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Loader(yaml.SafeLoader):
    """Turns CloudFormation's short forms into the long ones: `!Ref X` is {"Ref": "X"}."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> Json:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)
