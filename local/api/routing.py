"""Chooses the route for a request by the rules of API Gateway's HTTP APIs."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from local.template import Route

__all__ = ["Match", "Router"]


@dataclass(frozen=True)
class Match:
    route: Route
    parameters: dict[str, str]


class Router:
    """The most specific route wins: full before greedy, then from the left static before `{name}`, then a method before
    ANY. `$default` takes all other requests.

    Segments are matched first and decoded after, so that an encoded slash stays inside its segment.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = sorted(routes, key=_rank)

    def match(self, method: str, path: str) -> Match | None:
        """The route for a request, or None if no route matches: API Gateway then answers 404."""
        for route in self._routes:
            if route.path == "$default":
                return Match(route, {})
            parameters = _bind(route.path, path) if route.method in (method, "ANY") else None
            if parameters is not None:
                return Match(route, parameters)
        return None


def _rank(route: Route) -> tuple[bool, bool, list[int], bool]:
    segments = route.path.split("/")
    variables = [int(segment.startswith("{")) for segment in segments]
    return route.path == "$default", segments[-1].endswith("+}"), variables, route.method == "ANY"


def _bind(pattern: str, path: str) -> dict[str, str] | None:
    """The path parameters, or None if `path` does not match `pattern`."""
    segments, values = pattern.split("/"), path.split("/")
    if segments[-1].endswith("+}"):
        last = len(segments) - 1
        segments[last] = segments[last].replace("+", "")
        values = [*values[:last], "/".join(values[last:])]
    if len(segments) != len(values):
        return None
    parameters = {}
    for segment, value in zip(segments, values, strict=True):
        if segment.startswith("{"):
            if not value:
                return None
            parameters[segment[1:-1]] = unquote(value)
        elif segment != value:
            return None
    return parameters
