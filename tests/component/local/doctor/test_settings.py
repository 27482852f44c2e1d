"""samconfig.toml, the template and the build, which are checked without AWS."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from local.doctor.checks import build, settings
from local.doctor.deployment import Deployment
from tests.component.local.doctor.support import deployment, lines


@pytest.mark.parametrize("name", ["Shop", "1shop", "shop--a", "shop-", "shop_a", "s" * 30])
def test_a_stack_name_that_cannot_prefix_other_names_is_a_problem(name: str) -> None:
    [line] = lines(settings.stack_name(deployment(stack=name)))
    assert line.startswith(f"✗ {name} cannot")


def test_a_stack_name_of_29_letters_is_fine() -> None:
    assert lines(settings.stack_name(deployment(stack="s" * 29))) == [f"✓ {'s' * 29}"]


def test_all_refusals_of_the_template_are_shown_at_once() -> None:
    found = lines(settings.parameters(deployment(Egres="nat", Egress="none", SampleSize="many", VpcId="vpc-0a")))
    for problem in (
        "there is no parameter Egres",
        "Egress is one of",
        "SampleSize is a number",
        "VpcId needs Function",
    ):
        assert any(line.startswith(f"✗ {problem}") for line in found), found


def test_parameters_that_a_stack_keeps_are_checked_and_those_that_the_template_has_lost_are_not() -> None:
    kept = {"VpcId": "vpc-0a", "Lost": "1"}
    assert any("VpcId needs" in line for line in lines(settings.parameters(deployment(status="X", before=kept))))
    assert lines(settings.parameters(deployment(status="X", before={"Lost": "1"}, Egress="nat"))) == [
        "✓ 1 set in samconfig.toml, all accepted by the template"
    ]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"DatabaseSource": "aurora", "AuroraMinCapacity": "8"}, "✗ AuroraMinCapacity is larger"),
        ({"CachePort": "6379.5"}, "✗ CachePort is 6379.5: give a whole number"),
        ({"DatabaseStorage": "95"}, "✗ RDS wants DatabaseStorageLimit to exceed DatabaseStorage by a tenth"),
    ],
)
def test_sizes_that_contradict_each_other_are_a_problem(parameters: dict[str, str], problem: str) -> None:
    [line] = lines(settings.sizes(deployment(**parameters)))
    assert line.startswith(problem)
    assert lines(settings.sizes(deployment())) == []


def test_a_region_that_the_template_does_not_know_is_a_problem() -> None:
    [line] = lines(settings.region(replace(deployment(), region="mx-central-1")))
    assert line.startswith("✗ the template does not know mx-central-1")
    assert lines(settings.region(deployment())) == ["✓ eu-central-1"]


def test_a_region_without_certificate_authorities_is_a_problem() -> None:
    of = deployment()
    template = of.template | {"Mappings": {"Region": {"xx-north-1": {"S3PrefixList": "pl-1"}}}}
    [line] = lines(settings.region(replace(of, region="xx-north-1", template=template)))
    assert line.startswith("✗ layers/dependencies/certificates/rds-global-bundle.pem has no authority of xx-north-1")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a build of all its sources for arm64."""
    for name in ("functions/query/app.py", "layers/dependencies/Makefile", "template.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    library = tmp_path / ".aws-sam/build/DependenciesLayer/python/pkg/_c.so"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"\x7fELF".ljust(18, b"\0") + struct.pack("<H", 0xB7) + b"\0" * 40)
    (tmp_path / ".aws-sam/build/template.yaml").touch()
    for path in tmp_path.rglob("*"):
        os.utime(path, (1_000, 1_000))
    return tmp_path


def at(root: Path, **parameters: str) -> Deployment:
    return replace(deployment(**parameters), root=root)


def test_a_build_for_another_cpu_is_a_problem(checkout: Path) -> None:
    assert lines(build.architecture(at(checkout, Architecture="arm64"))) == ["✓ built for arm64"]
    assert lines(build.architecture(at(checkout, Architecture="x86_64"))) == [
        "✗ built for arm64, and Architecture is x86_64: run `sam build --config-env default`"
    ]


@pytest.mark.parametrize("source", ["functions/query/app.py", "layers/dependencies/Makefile", "template.yaml"])
def test_a_build_older_than_its_sources_is_a_problem(checkout: Path, source: str) -> None:
    assert lines(build.freshness(at(checkout))) == ["✓ as new as its sources"]
    os.utime(checkout / source, (2_000, 2_000))
    [line] = lines(build.freshness(at(checkout)))
    assert line.startswith("✗")
    assert f"{source} is newer than the build" in line


def test_bytecode_is_no_source(checkout: Path) -> None:
    (checkout / "functions/query/__pycache__").mkdir()
    (checkout / "functions/query/__pycache__/app.pyc").touch()
    assert lines(build.freshness(at(checkout))) == ["✓ as new as its sources"]


def test_without_a_build_its_command_is_named(tmp_path: Path) -> None:
    of = at(tmp_path)
    prod = replace(of, configuration=replace(of.configuration, environment="prod"))
    assert lines(build.freshness(prod)) == ["? not checked: there is none. Run `sam build --config-env prod`"]
    assert lines(build.architecture(prod)) == []
