"""The result of `sam build`, without AWS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local.doctor.check import Check, NotChecked
from local.doctor.deployment import Deployment
from local.terminal import short_path

__all__ = ["architecture", "freshness"]

_MACHINES: Final = {0x3E: "x86_64", 0xB7: "arm64"}  # e_machine of ELF
_SOURCES: Final = ("template.yaml", "functions", "layers")


def architecture(deployment: Deployment) -> Check:
    wanted = deployment.plan.parameter("Architecture")
    libraries = _build(deployment).glob("DependenciesLayer/**/*.so*")
    built = {machine for library in libraries if (machine := _machine(library))}
    if built and built != {wanted}:
        yield f"built for {', '.join(sorted(built))}, and Architecture is {wanted}: run {_command(deployment)}"
    return f"built for {wanted}" if built else None


def freshness(deployment: Deployment) -> Check:
    built = _build(deployment) / "template.yaml"
    if not built.exists():
        raise NotChecked(f"there is none. Run {_command(deployment)}")
    newest = max(_sources(deployment.root), key=lambda path: path.stat().st_mtime)
    if newest.stat().st_mtime > built.stat().st_mtime:
        yield f"{short_path(newest)} is newer than the build: run {_command(deployment)}"
    return "as new as its sources"


def _build(deployment: Deployment) -> Path:
    return deployment.root / ".aws-sam" / "build"


def _command(deployment: Deployment) -> str:
    return f"`sam build --config-env {deployment.configuration.environment}`"


def _sources(root: Path) -> Iterator[Path]:
    for name in _SOURCES:
        found = [root / name] if (root / name).is_file() else (root / name).rglob("*")
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _machine(library: Path) -> str | None:
    with library.open("rb") as file:
        head = file.read(20)
    return _MACHINES.get(int.from_bytes(head[18:20], "little")) if head.startswith(b"\x7fELF") else None
