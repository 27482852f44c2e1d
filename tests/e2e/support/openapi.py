"""Checks a document against OpenAPI 3.1: the rules for those parts that ours has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator

__all__ = ["check_document"]

_METHODS: Final = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
_ITEM: Final = _METHODS | {"$ref", "summary", "description", "servers", "parameters"}
_DESCRIBED: Final = {"tags", "summary", "description", "externalDocs", "operationId", "deprecated"}
_OPERATION: Final = _DESCRIBED | {"parameters", "requestBody", "responses", "callbacks", "security", "servers"}
_ABOUT: Final = {"openapi", "info", "jsonSchemaDialect", "externalDocs", "tags"}
_ROOT: Final = _ABOUT | {"servers", "paths", "webhooks", "components", "security"}

Json = Mapping[str, Any]


def check_document(document: Json) -> None:
    """Fail with the place of the first error."""
    assert document["openapi"].startswith("3.1."), document["openapi"]
    assert document.keys() <= _ROOT
    assert document["info"].keys() >= {"title", "version"}
    for place, reference in _references(document, "#"):
        _resolve(document, reference, place)
    operations = [*_operations(document)]
    identifiers = [operation["operationId"] for _, operation in operations if "operationId" in operation]
    assert len(set(identifiers)) == len(identifiers), "an operationId is not unique"
    for place, operation in operations:
        _check_operation(document, place, operation)
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        _check_schema(f"schema {name}", schema)


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, item in document["paths"].items():
        assert path.startswith("/"), path
        assert item.keys() <= _ITEM, path
        yield from ((f"{method} {path}", item[method]) for method in item.keys() & _METHODS)


def _check_operation(document: Json, place: str, operation: Json) -> None:
    assert operation.keys() <= _OPERATION, place
    parameters = operation.get("parameters", [])
    assert len({(each["name"], each["in"]) for each in parameters}) == len(parameters), place
    for parameter in parameters:
        assert parameter["in"] in ("query", "header", "path", "cookie"), place
        assert parameter.get("required") or parameter["in"] != "path", place
        _check_schema(f"{place}, {parameter['name']}", parameter["schema"])
    assert operation["responses"], place
    for status, response in operation["responses"].items():
        assert status == "default" or (len(status) == 3 and status[0] in "12345"), f"{place}: {status}"
        found = _resolve(document, response["$ref"], place) if "$ref" in response else response
        assert isinstance(found.get("description"), str), f"{place}: {status}"
        _check_content(f"{place}, {status}", found.get("content", {}))
        for header in found.get("headers", {}).values():
            _check_schema(f"{place}, {status}", header["schema"])
    if "requestBody" in operation:
        assert operation["requestBody"]["content"], place
        _check_content(place, operation["requestBody"]["content"])
    known = document.get("components", {}).get("securitySchemes", {})
    assert all(name in known for need in operation.get("security", []) for name in need), place


def _check_content(place: str, content: Json) -> None:
    for media_type, about in content.items():
        assert "/" in media_type, place
        _check_schema(f"{place}, {media_type}", about.get("schema", {}))


def _check_schema(place: str, schema: Json) -> None:
    """Schemas of OpenAPI 3.1 are JSON Schema of draft 2020-12. A default or an example must fit its own schema."""
    Draft202012Validator.check_schema(schema)
    if "default" in schema:
        assert Draft202012Validator(schema).is_valid(schema["default"]), f"{place}: the default does not fit"


def _references(node: Any, place: str) -> Iterator[tuple[str, str]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if key == "$ref":
            yield place, value
        else:
            yield from _references(value, f"{place}/{key}")


def _resolve(document: Json, reference: str, place: str) -> Json:
    assert reference.startswith("#/"), f"{place}: {reference} is not of this document"
    found: Any = document
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        assert name in found, f"{place}: {reference} does not exist"
        found = found[name]
    assert isinstance(found, dict), f"{place}: {reference}"
    return found
