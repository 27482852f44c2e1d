"""The result of `sam build`, without AWS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, unknown, wrong
from local.terminal import short_path

__all__ = ["architecture", "freshness"]

_MACHINES: Final = {0x3E: "x86_64", 0xB7: "arm64"}  # e_machine of ELF
_SOURCES: Final = ("template.yaml", "functions", "layers")


def architecture(deployment: Deployment) -> Iterator[Finding]:
    wanted = deployment.plan.parameter("Architecture")
    libraries = sorted(_build(deployment).glob("DependenciesLayer/**/*.so*"))
    built = {machine for library in libraries if (machine := _machine(library))}
    if built and built != {wanted}:
        yield wrong(f"built for {', '.join(sorted(built))}, and Architecture is {wanted}: run {_command(deployment)}")
    elif built:
        yield fine(f"built for {wanted}")


def freshness(deployment: Deployment) -> Iterator[Finding]:
    built = _build(deployment) / "template.yaml"
    if not built.exists():
        yield unknown(f"there is none: run {_command(deployment)} before `sam deploy`")
        return
    newest = max(_sources(deployment.root), key=lambda path: path.stat().st_mtime)
    if newest.stat().st_mtime > built.stat().st_mtime:
        yield wrong(f"{short_path(newest)} is newer than the build: run {_command(deployment)}")
    else:
        yield fine("as new as its sources")


def _build(deployment: Deployment) -> Path:
    return deployment.root / ".aws-sam" / "build"


def _command(deployment: Deployment) -> str:
    environment = deployment.configuration.environment
    return "`sam build`" if environment == "default" else f"`sam build --config-env {environment}`"


def _sources(root: Path) -> Iterator[Path]:
    for name in _SOURCES:
        found = [root / name] if (root / name).is_file() else (root / name).rglob("*")
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _machine(library: Path) -> str | None:
    with library.open("rb") as file:
        head = file.read(20)
    return _MACHINES.get(int.from_bytes(head[18:20], "little")) if head.startswith(b"\x7fELF") else None
