"""The check of an OpenAPI document: by a validator of the specification, and each example by its schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

__all__ = ["check_document", "operations", "resolved"]

Json = Mapping[str, Any]

_DOCUMENT: Final = "urn:document"
_METHODS: Final = {"get", "head", "post"}


def check_document(document: Json) -> int:
    """Fail with the first error, or with the first example that does not fit. Return how many examples there are."""
    assert [*OpenAPIV31SpecValidator(dict(document)).iter_errors()] == []
    _check_references(document)
    registry = Registry().with_resource(_DOCUMENT, DRAFT202012.create_resource(document))
    count = 0
    for place, schema, example in _examples(document, []):
        reference = f"{_DOCUMENT}#" + "".join(
            f"/{quote(part.replace('~', '~0').replace('/', '~1'))}" for part in schema
        )
        validator = Draft202012Validator({"$ref": reference}, registry=registry, format_checker=FormatChecker())
        errors = [error.message for error in validator.iter_errors(example)]
        assert errors == [], f"{place}: {example} {errors}"
        count += 1
    return count


def operations(document: Json) -> dict[str, Any]:
    """Return each operation by method and path: `GET /queries/product`."""
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    }


def resolved(document: Json, node: Json) -> Json:
    """Return the object that `node` refers to, or itself."""
    while "$ref" in node:
        parts = node["$ref"].removeprefix("#/").split("/")
        node = document
        for part in parts:
            node = node[part]
    return node


def _examples(document: Json, place: list[str]) -> Iterator[tuple[str, list[str], Any]]:
    """Yield the place of each example, of its schema, and the example, of each object that has them beside a schema."""
    node: Any = document
    for part in place:
        node = node[int(part)] if isinstance(node, list) else node[part]
    if isinstance(node, list):
        children = [str(number) for number in range(len(node))]
    elif isinstance(node, Mapping):
        children = [name for name in node if name not in ("example", "examples", "x-cacheaside")]
        schema = node.get("schema")
        if isinstance(schema, Mapping):
            named = node.get("examples", {})
            given = [resolved(document, each)["value"] for each in named.values()]
            for example in [*given, *([node["example"]] if "example" in node else []), *schema.get("examples", [])]:
                yield "/".join(place), [*place, "schema"], example
        if place[-1:] == ["schema"] and "default" in node:
            yield "/".join(place), place, node["default"]
    else:
        return
    for child in children:
        yield from _examples(document, [*place, child])


def _check_references(document: Json) -> None:
    """Every component is referred to, and every reference leads to one."""
    named = {
        f"#/components/{kind}/{name}"
        for kind, components in document["components"].items()
        if kind != "securitySchemes"
        for name in components
    }
    assert set(_references(document)) == named


def _references(node: Any) -> Iterator[str]:
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ():
        if key == "$ref":
            yield value
        else:
            yield from _references(value)
