"""Checks the uploaded artifacts: all files that Lambda needs, no others, and within its size limit.

Bytecode is no file of the checkout. The build makes it of each module, or of none if it has no Python of the functions'
version. Lambda's Python compares it with no source, so this module does.
"""

import _imp
import re
from collections.abc import Iterator
from pathlib import Path

from local.deployment.uploads import Artifact, Package
from local.errors import LocalError

__all__ = ["LIMIT_BYTES", "check_artifacts"]

# What the bytecode of Python 3.13 begins with (magic number, "hash-based and unchecked"), and how its files are named.
_MAGIC = (3571).to_bytes(2, "little") + b"\r\n"
_UNCHECKED = (0b01).to_bytes(4, "little")
_SUFFIX = ".cpython-313.pyc"

# Lambda's quota for a function with its layers, unpacked.
LIMIT_BYTES = 250 * 1024 * 1024


def check_artifacts(root: Path, package: Package) -> Iterator[str]:
    """Yield a line about each artifact. Raises `LocalError` at the first that is wrong."""
    function, layers = _by_type(package, "Function"), _by_type(package, "LayerVersion")
    for artifact in function:
        yield _check_functions(root / "functions", package, artifact)
    for artifact in layers:
        check = _check_library if artifact.names == ("CacheasideLayer",) else _check_dependencies
        yield check(root / "layers", artifact)
    unpacked = max(_unpacked(artifact) for artifact in function) + sum(map(_unpacked, layers))
    if unpacked >= LIMIT_BYTES:
        raise LocalError(f"function and layers are {_mb(unpacked)} unpacked, and Lambda takes {_mb(LIMIT_BYTES)}")
    yield f"a function with its layers: {_mb(unpacked)} unpacked, of Lambda's {_mb(LIMIT_BYTES)}"


def _check_functions(folder: Path, package: Package, artifact: Artifact) -> str:
    _same_files(artifact, folder, "")
    for name in artifact.names:
        handler = package.document["Resources"][name]["Properties"]["Handler"]
        module = handler.rpartition(".")[0].replace(".", "/") + ".py"
        if module not in artifact.sizes:
            raise LocalError(f"{name}: its handler's {module} was not packaged")
    counts = {
        "handlers": len(artifact.names),
        "system migrations": _count(artifact, "migrate/system/"),
        "migrations": _count(artifact, "catalogue/migrations/"),
        "queries": _count(artifact, "catalogue/queries/"),
        "commands": _count(artifact, "catalogue/commands/"),
    }
    if not counts["system migrations"]:
        raise LocalError("the functions were packaged without system migrations")
    return f"{_described('functions', artifact)}: " + ", ".join(f"{count} {what}" for what, count in counts.items())


def _check_library(layers: Path, artifact: Artifact) -> str:
    _same_files(artifact, layers / "cacheaside" / "cacheaside", "python/cacheaside/")
    return f"{_described('library layer', artifact)}: python/cacheaside"


def _check_dependencies(layers: Path, artifact: Artifact) -> str:
    _check_bytecode(artifact)
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (layers / "dependencies/requirements.txt").read_text(), re.M)
    for name, version in pins:
        metadata = f"python/{re.sub(r'[-.]+', '_', name)}-{version}.dist-info/METADATA"
        if metadata.lower() not in map(str.lower, artifact.sizes):
            raise LocalError(f"the dependencies layer was packaged without {name} {version}")
    certificates = "certificates/rds-global-bundle.pem"
    # The emulator's own authorities follow those of the checkout.
    if not artifact.read(certificates).startswith((layers / "dependencies" / certificates).read_bytes()):
        raise LocalError(f"{certificates} in the package differs from the checkout")
    return f"{_described('dependencies layer', artifact)}: " + ", ".join(f"{name} {version}" for name, version in pins)


def _same_files(artifact: Artifact, folder: Path, prefix: str) -> None:
    """Raise `LocalError` unless the artifact holds, under `prefix`, the files of `folder`, and else only bytecode."""
    bytecode = _check_bytecode(artifact)
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    expected = {prefix + path.relative_to(folder).as_posix(): path for path in paths if path != folder / "Makefile"}
    if different := expected.keys() ^ (artifact.sizes.keys() - bytecode):
        raise LocalError(f"{folder.name} and its package do not have the same files: {', '.join(sorted(different))}")
    for name, path in expected.items():
        if artifact.read(name) != path.read_bytes():
            raise LocalError(f"{name} in the package differs from the checkout")


def _check_bytecode(artifact: Artifact) -> set[str]:
    """Return the names of the bytecode. Raises `LocalError` if it is not that of the packaged modules."""
    packaged = {name for name in artifact.sizes if name.endswith(".pyc")}
    modules = {_bytecode_of(name): name for name in artifact.sizes if name.endswith(".py")}
    if packaged and (different := packaged ^ modules.keys()):
        raise LocalError(f"{', '.join(artifact.names)}: not every module has bytecode and vice versa: {min(different)}")
    for name in packaged:
        source = artifact.read(modules[name])
        expected = _MAGIC + _UNCHECKED + _imp.source_hash(int.from_bytes(_MAGIC, "little"), source)
        if not artifact.read(name).startswith(expected):
            raise LocalError(f"{', '.join(artifact.names)}: {name} is not of {modules[name]}, or not of Python 3.13")
    return packaged


def _bytecode_of(module: str) -> str:
    folder, slash, file = module.rpartition("/")
    return f"{folder}{slash}__pycache__/{file.removesuffix('.py')}{_SUFFIX}"


def _by_type(package: Package, kind: str) -> list[Artifact]:
    resources = package.document["Resources"]
    return [a for a in package.artifacts if resources[a.names[0]]["Type"] == f"AWS::Serverless::{kind}"]


def _count(artifact: Artifact, prefix: str) -> int:
    return sum(name.startswith(prefix) and name.endswith(".sql") for name in artifact.sizes)


def _unpacked(artifact: Artifact) -> int:
    return sum(artifact.sizes.values())


def _described(what: str, artifact: Artifact) -> str:
    return (
        f"{what}, {len(artifact.sizes)} files, {_mb(len(artifact.content))} zipped, {_mb(_unpacked(artifact))} unpacked"
    )


def _mb(size: int) -> str:
    return f"{size / 1024 / 1024:.{2 if size < 1024 * 1024 else 1}f} MB"
