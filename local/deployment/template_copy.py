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


def emulated(template: Json, api_url: str, addresses: Mapping[str, str]) -> Json:
    """Return a copy of the built `template` without what the emulator lacks, with routes, and with ApiUrl `api_url`.

    `addresses` are the values in the entries of `LACKS`.
    """
    gone = {
        name: lack
        for name, resource in template["Resources"].items()
        for lack in LACKS
        if not lack.property and resource["Type"] == lack.type and lack.where in ("", *resource["Properties"])
    }
    kept = {name: _kept(each, set(gone)) for name, each in template["Resources"].items() if name not in gone}
    outputs = template["Outputs"] | {"ApiUrl": {"Value": {"Fn::Sub": api_url}}}
    return _Referring(gone, addresses).replaced(template | {"Resources": add_routes(kept), "Outputs": outputs})


def _kept(resource: Json, gone: set[str]) -> Json:
    properties = {lack.property for lack in LACKS if lack.type == resource["Type"]}
    kept = {name: value for name, value in resource.get("Properties", {}).items() if name not in properties}
    needed = resource.get("DependsOn", [])
    needed = [name for name in ([needed] if isinstance(needed, str) else needed) if name not in gone]
    return resource | {"Properties": kept, "DependsOn": needed}


class _Referring:
    """Replaces references to resources that are gone."""

    def __init__(self, gone: Mapping[str, Lack], addresses: Mapping[str, str]) -> None:
        self._gone = gone
        self._addresses = addresses

    def replaced(self, node: Any) -> Any:
        match node:
            case {"Ref": str(name)} if name in self._gone:
                return self._value(name, "")
            case {"Fn::GetAtt": [str(name), *attributes]} if name in self._gone:
                return self._value(name, ".".join(attributes))
            case {"Fn::GetAtt": str(path)} if path.partition(".")[0] in self._gone:
                return self._value(path.partition(".")[0], path.partition(".")[2])
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
        return _VARIABLE.sub(lambda v: self._plain(v[1], v[2] or "") if v[1] in self._gone else v[0], text)

    def _value(self, name: str, attribute: str) -> Json:
        return {"Fn::Sub": self._plain(name, attribute)}

    def _plain(self, name: str, attribute: str) -> str:
        text = self._gone[name].instead.get(attribute, name)
        return re.sub(r"(?<!\$)\{(\w+)\}", lambda place: self._addresses.get(place[1], ""), text)
