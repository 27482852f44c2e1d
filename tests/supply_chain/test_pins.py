"""Every package that is installed is pinned by version and hash, and nothing else is ever installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.support.root import ROOT

PINS: Final = [*sorted(ROOT.glob("requirements/*.txt")), ROOT / "layers/dependencies/requirements.txt"]
# name[extra]==version ; marker, and all of its indented lines
_PIN: Final = re.compile(
    r"^[A-Za-z0-9._-]+(\[[a-z0-9, -]+\])?==[^\s;*]+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+$", re.M
)
# Comments of uv: what needs the package, and what it left out.
_COMMENT: Final = re.compile(r"^ *#.*$", re.M)


def tracked(*patterns: str) -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return [ROOT / name for name in names.splitlines()]


def unpinned(text: str) -> str:
    """Return what is left of requirements without all that is pinned by version and hash."""
    return _PIN.sub("", _COMMENT.sub("", text)).strip()


@pytest.mark.parametrize("file", PINS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_package_without_version_or_hash_is_not_installed(file: Path) -> None:
    assert unpinned(file.read_text()) == ""
    assert len(_PIN.findall(file.read_text())) > 2


@pytest.mark.parametrize(
    "line",
    [
        "requests",
        "requests>=2 \\\n    --hash=sha256:" + "0" * 64,
        "requests==2.* \\\n    --hash=sha256:" + "0" * 64,
        "requests==2.34.2",
        "requests==2.34.2 \\\n    --hash=md5:" + "0" * 32,
        "requests @ git+ssh://git@example.org/requests",
        "--extra-index-url https://example.org/simple",
        "-r other.txt",
    ],
)
def test_a_line_that_pins_nothing_is_found(line: str) -> None:
    assert unpinned(f"{PINS[-1].read_text()}{line}\n")


def test_every_file_of_pins_is_one_that_make_lock_writes() -> None:
    locked = re.findall(r"call pin,([^,]+),", (ROOT / "Makefile").read_text())
    assert {f"{name}.txt" for name in locked} == {path.relative_to(ROOT).as_posix() for path in PINS}
    assert all((ROOT / f"{name}.in").exists() for name in locked)


def test_pip_installs_only_what_has_a_hash() -> None:
    """Every call of pip in makefiles, scripts and workflows, with the lines that it is continued on."""
    calls = []
    for file in tracked("*Makefile", "*.mk", "*.sh", ".ci/run", ".github/workflows/*"):
        text = re.sub(r"\\\n\s*", "", file.read_text())
        text = text.replace("$(WHEELS_OF_LAMBDA)", re.sub(r"(?s).*WHEELS_OF_LAMBDA := ([^\n]*).*", r"\1", text))
        calls += re.findall(r"^.*\bpip (?:install|download|wheel)\b.*$", text, re.M)
        assert not re.search(
            r"\b(?:uv (?:pip install|add|run|tool)|uvx|pipx|easy_install|npm|npx|curl .*\| *(?:ba)?sh)\b", text
        )
    assert len(calls) == 4, "the environments, the layer, the wheels for the bill of materials, and those in images"
    assert all("--require-hashes" in call and "--no-deps" in call for call in calls)


def test_there_is_no_package_of_npm() -> None:
    """The pages are code of this project; axe comes with a Python package, and only tests use it."""
    assert not tracked("*package.json", "*package-lock.json", "*yarn.lock", "*pnpm-lock.yaml", "*node_modules*")
    assert not [
        path for path in tracked("functions/*.js") if re.search(r"\bfrom ['\"][^./]|\brequire\(", path.read_text())
    ]


def test_dependabot_looks_at_every_folder_with_pins() -> None:
    actions, packages = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    assert actions["package-ecosystem"] == "github-actions"
    assert {f"/{path.parent.relative_to(ROOT).as_posix()}" for path in PINS} == set(packages["directories"])
    assert not tracked("*Dockerfile*"), "images are built of Debian packages and pinned wheels"
