"""Modules of JavaScript, joined into one script. Browser tests run what comes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from query import modules
from query.modules import joined
from tests.support.root import ROOT

ASSETS = ROOT / "functions" / "query" / "assets"


def files(folder: Path, **sources: str) -> Path:
    for name, source in sources.items():
        path = folder / f"{name.replace('__', '/')}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder


def test_module_comes_once_and_after_those_that_it_imports(tmp_path: Path) -> None:
    files(
        tmp_path,
        page__main='import { a } from "../common/one.js";\nimport { b as c } from "./two.js";\nuse(a, c);\n',
        page__two='import { a } from "../common/one.js";\nexport function b() { return a; }\n',
        common__one="export const a = 1;\n",
    )
    assert joined(tmp_path, "page/main.js") == (
        "const module0 = (() => {\nconst a = 1;\nreturn { a };\n})();\n"
        "const module1 = (() => {\nconst { a } = module0;\nfunction b() { return a; }\nreturn { b };\n})();\n"
        "const module2 = (() => {\nconst { a } = module0;\nconst { b: c } = module1;\nuse(a, c);\nreturn {  };\n})();\n"
    )


def test_private_names_of_two_modules_do_not_collide(tmp_path: Path) -> None:
    """Each is in a function of its own: in one script, a second `const shown` would be an error of syntax."""
    files(
        tmp_path,
        main='import { a } from "./one.js";\nconst shown = a;\n',
        one="const shown = 1;\nexport const a = shown;\n",
    )
    blocks = re.findall(r"^const module\d = \(\(\) => \{\n(.*?)^\}\)\(\);$", joined(tmp_path, "main.js"), re.M | re.S)
    assert [block.count("const shown") for block in blocks] == [1, 1]


@pytest.mark.parametrize(
    ("declaration", "name"),
    [("const a = 1;", "a"), ("function b() {}", "b"), ("async function c() {}", "c"), ("class D {}", "D")],
)
def test_each_kind_of_export_is_returned(tmp_path: Path, declaration: str, name: str) -> None:
    assert f"{declaration}\nreturn {{ {name} }};" in joined(files(tmp_path, main=f"export {declaration}\n"), "main.js")


def test_modules_that_import_each_other_are_refused(tmp_path: Path) -> None:
    files(
        tmp_path,
        main='import { a } from "./one.js";\n',
        one='import { b } from "./two.js";\nexport const a = 1;\n',
        two='import { a } from "./one.js";\nexport const b = 1;\n',
    )
    with pytest.raises(ValueError, match=r"one\.js imports itself, by way of one\.js, two\.js"):
        joined(tmp_path, "main.js")


def test_module_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.js"):
        joined(files(tmp_path, main='import { a } from "./nowhere.js";\n'), "main.js")


@pytest.mark.parametrize(
    "line",
    [
        'import a from "./one.js";',
        'import * as a from "./one.js";',
        'import "./one.js";',
        "export default 1;",
        "export let a = 1;",
        "export { a };",
    ],
)
def test_form_of_the_language_that_is_not_known_is_refused(tmp_path: Path, line: str) -> None:
    """Otherwise it would reach the browser, which refuses the whole script."""
    with pytest.raises(ValueError, match=re.escape(line)):
        joined(files(tmp_path, main=f"{line}\n", one="export const a = 1;\n"), "main.js")


@pytest.mark.parametrize("path", sorted(ASSETS.rglob("*.js")), ids=lambda path: path.name)
def test_what_a_module_imports_is_exported_there(path: Path) -> None:
    """A name that is not exported would be undefined, and fail only where it is used."""
    for imported in modules._IMPORT.finditer(path.read_text()):
        exported = {each["name"] for each in modules._EXPORT.finditer((path.parent / imported["path"]).read_text())}
        names = {name.split(" as ")[0].strip() for name in imported["names"].split(",")}
        assert names <= exported, f"{imported['path']} exports no {names - exported}"
