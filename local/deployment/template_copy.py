"""Makes the copy of the built template that the emulator can deploy. See `lacks`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from local.deployment.lacks import LACKS, Lack
from local.deployment.routes import add_routes

__all__ = ["emulated"]

Json = dict[str, Any]

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z0-9]+)(?:\.([A-Za-z0-9.]+))?\}")
_PLACE: Final = re.compile(r"(?<!\$)\{(\w+)\}")


def emulated(template: Json, api_url: str, addresses: Mapping[str, str]) -> Json:
    """Return a copy of the built `template` without what the emulator lacks, with routes, and with ApiUrl `api_url`.

    `addresses` are the values in the entries of `LACKS`.
    """
    lacking = {
        name: lack
        for name, resource in template["Resources"].items()
        for lack in LACKS
        if not lack.property and resource["Type"] == lack.type and lack.where in ("", *resource["Properties"])
    }
    gone = {name for name, lack in lacking.items() if not lack.stays}
    kept = {name: _kept(each, gone) for name, each in template["Resources"].items() if name not in gone}
    outputs = template["Outputs"] | {"ApiUrl": template["Outputs"]["ApiUrl"] | {"Value": {"Fn::Sub": api_url}}}
    copy: Json = _Referring(lacking, addresses).replaced(template | {"Resources": add_routes(kept), "Outputs": outputs})
    return copy


def _kept(resource: Json, gone: set[str]) -> Json:
    properties = {lack.property for lack in LACKS if lack.type == resource["Type"]}
    kept = {name: value for name, value in resource.get("Properties", {}).items() if name not in properties}
    needed = resource.get("DependsOn", [])
    needed = [name for name in ([needed] if isinstance(needed, str) else needed) if name not in gone]
    return resource | {"Properties": kept, "DependsOn": needed}


class _Referring:
    """Replaces references to what is lacking."""

    def __init__(self, lacking: Mapping[str, Lack], addresses: Mapping[str, str]) -> None:
        self._lacking = lacking
        self._addresses = addresses

    def replaced(self, node: Any) -> Any:
        match node:
            case {"Ref": str(name)} if self._replaces(name, ""):
                return {"Fn::Sub": self._value(name, "")}
            case {"Fn::GetAtt": [str(name), *attributes]} if self._replaces(name, ".".join(attributes)):
                return {"Fn::Sub": self._value(name, ".".join(attributes))}
            case {"Fn::Sub": [str(text), values]}:
                return {"Fn::Sub": [self._text(text), self.replaced(values)]}
            case {"Fn::Sub": str(text)}:
                return {"Fn::Sub": self._text(text)}
            case dict():
                return {name: self.replaced(value) for name, value in node.items()}
            case list():
                return [self.replaced(value) for value in node]
        return node

    def _text(self, text: str) -> str:
        return _VARIABLE.sub(
            lambda v: self._value(v[1], v[2] or "") if self._replaces(v[1], v[2] or "") else v[0], text
        )

    def _replaces(self, name: str, attribute: str) -> bool:
        lack = self._lacking.get(name)
        return lack is not None and (not lack.stays or attribute in lack.instead)

    def _value(self, name: str, attribute: str) -> str:
        text = self._lacking[name].instead.get(attribute, name)
        return _PLACE.sub(lambda place: self._addresses.get(place[1], ""), text)
