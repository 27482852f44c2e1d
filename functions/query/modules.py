"""Joins modules of JavaScript into one script, because a document with a script of its own is one request.

Each module becomes a function after those that it imports, so the names that it does not export are its own. Of the
language's forms it knows `import { a, b as c } from "./file.js";` and `export` before a const, a function or a class.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Final

__all__ = ["joined"]

_IMPORT: Final = re.compile(r'^import \{(?P<names>[^}]*)\} from "(?P<path>[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?P<what>(?:const|function|async function|class) (?P<name>\w+))", re.MULTILINE)
_UNKNOWN: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def joined(folder: Path, entry: str) -> str:
    """Return the module at the path `entry` in `folder`, and all that it imports, as one script.

    Raises ValueError for modules that import each other, and for a form of import or export that it does not know.
    """
    variables: dict[str, str] = {}
    parts: list[str] = []
    importing: list[str] = []

    def variable(path: str) -> str:
        if path in variables:
            return variables[path]
        if path in importing:
            raise ValueError(f"{path} imports itself, by way of {', '.join(importing[importing.index(path) :])}")
        importing.append(path)
        source = (folder / path).read_text(encoding="utf-8")

        def constants(match: re.Match[str]) -> str:
            module = variable(posixpath.normpath(posixpath.join(posixpath.dirname(path), match["path"])))
            return f"const {{{match['names'].replace(' as ', ': ')}}} = {module};\n"

        exported = ", ".join(match["name"] for match in _EXPORT.finditer(source))
        body = _EXPORT.sub(r"\g<what>", _IMPORT.sub(constants, source))
        if unknown := _UNKNOWN.search(body):
            raise ValueError(f"{path}: {unknown[0]} is not known here")
        importing.pop()
        variables[path] = f"module{len(variables)}"
        parts.append(f"const {variables[path]} = (() => {{\n{body}return {{ {exported} }};\n}})();\n")
        return variables[path]

    variable(entry)
    return "".join(parts)
