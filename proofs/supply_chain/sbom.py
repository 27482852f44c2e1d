"""`make sbom`: a bill of materials of what is deployed, in CycloneDX 1.6, made of the wheels that the build installs.

It names each package with version, licence and SHA-256, and the libraries that a wheel brings along. Lambda's runtime
is named too: it is part of what runs, and AWS maintains it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import PathDistribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from proofs.supply_chain.licences import licences, normal_name

__all__ = ["bill", "download", "main"]

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "dependencies"
RUNTIME = "python3.13"


def download(architecture: str, folder: Path) -> list[Path]:
    """Return the wheels that `sam build` installs for this CPU. pip has compared each with its hash."""
    command = ["make", "--silent", f"--file={architecture}/Makefile", "wheels", f"WHEELS={folder}"]
    subprocess.run([*command, f"PYTHON={sys.executable}"], cwd=LAYER, check=True)
    return sorted(folder.glob("*.whl"))


def bill(wheels: Iterable[Path]) -> str:
    """Return the bill as JSON, valid by the schema."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    us = Component(type=ComponentType.APPLICATION, name=project["name"], version=project["version"])
    us.licenses.add(LicenseFactory().make_from_string(project["license"]))
    bom = Bom()
    bom.metadata.component = us
    bom.components.update(map(_package, wheels))
    for certificates in LAYER.glob("certificates/*.pem"):
        bom.components.add(_file(certificates.name, certificates.read_bytes()))
    runtime = Component(type=ComponentType.PLATFORM, name="AWS Lambda", version=RUNTIME)
    runtime.description = "Python and boto3 of the runtime. AWS maintains them, and no layer holds them."
    bom.components.add(runtime)
    bom.register_dependency(us, bom.components)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(error.data)
    return text


def _package(wheel: Path) -> Component:
    content = zipfile.ZipFile(wheel)
    [folder] = [each for each in zipfile.Path(content).iterdir() if each.name.endswith(".dist-info")]
    metadata = PathDistribution(folder).metadata  # a zipfile.Path reads like a Path
    name, version = normal_name(metadata["Name"]), metadata["Version"]
    package = Component(type=ComponentType.LIBRARY, name=name, version=version)
    package.purl = PackageURL("pypi", name=name, version=version)
    package.hashes.add(_sha256(wheel.read_bytes()))
    package.properties.add(Property(name="cacheaside:file", value=wheel.name))
    package.licenses.update(LicenseFactory().make_from_string(each) for each in licences(metadata))
    for path in content.namelist():
        if path.endswith(".cdx.json"):
            package.components.update(_brought(content.read(path), name))
        elif ".libs/" in path and not path.endswith("/"):
            package.components.add(_file(path.rpartition("/")[2], content.read(path)))
    return package


def _brought(sbom: bytes, wheel: str) -> Iterable[Component]:
    """Return what the bill of a wheel (PEP 770) lists: packages of the system that it was built on."""
    for each in json.loads(sbom)["components"]:
        if normal_name(each["name"]) != wheel:
            library = Component(type=ComponentType.LIBRARY, name=each["name"], version=each["version"])
            library.purl = PackageURL.from_string(each["purl"])
            yield library


def _file(name: str, content: bytes) -> Component:
    return Component(type=ComponentType.FILE, name=name, hashes=[_sha256(content)])


def _sha256(content: bytes) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256(content).hexdigest())


def main() -> None:
    options = argparse.ArgumentParser(description="Writes a bill of materials of what is deployed.")
    options.add_argument("architecture", choices=["arm64", "x86_64"])
    options.add_argument("output", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chosen.output.write_text(bill(download(chosen.architecture, Path(folder))))
    print(chosen.output)


if __name__ == "__main__":
    main()
