"""`make audit`: asks OSV for the advisories of every package that is pinned. Status 1 if one is not accepted.

pip-audit asks. It passes a package that it could not look up, and its option for ignoring an advisory knows neither
reason nor date. So its report is judged here.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

__all__ = ["Accepted", "ask", "judge", "main", "read_accepted"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Accepted:
    """An advisory that is known and does no harm here, until a day."""

    package: str
    id: str
    reason: str
    until: date

    def __post_init__(self) -> None:
        if not self.reason.strip() or not isinstance(self.until, date):
            raise ValueError(f"{self.id} needs a reason, and a day until which it is accepted")


def read_accepted(file: Path) -> list[Accepted]:
    return [Accepted(**entry) for entry in tomllib.loads(file.read_text())["advisory"]]


def ask(requirements: Path, *options: str) -> list[dict[str, Any]]:
    """Return what pip-audit reports of each package. It looks packages up by name and version, and installs nothing."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--vulnerability-service", "osv"]
    command += ["--format", "json", "--progress-spinner", "off", "--requirement", str(requirements), *options]
    asked = subprocess.run(command, stdout=subprocess.PIPE)
    if asked.returncode > 1 or not asked.stdout:  # 1: it found something; without a report: it could not ask
        raise SystemExit(f"pip-audit failed with status {asked.returncode}")
    packages: list[dict[str, Any]] = json.loads(asked.stdout)["dependencies"]
    return packages


def judge(packages: Iterable[dict[str, Any]], accepted: Sequence[Accepted], today: date) -> list[str]:
    """Return one line for each thing that must be done."""
    problems, found = [], set()
    for package in packages:
        if reason := package.get("skip_reason"):
            problems.append(f"{package['name']} was not audited: {reason}")
        for advisory in package.get("vulns", []):
            names = {advisory["id"], *advisory["aliases"]}
            matching = [each for each in accepted if each.package == package["name"] and each.id in names]
            found.update(matching)
            if not matching:
                fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
                where = f"{package['name']} {package['version']}"
                problems.append(f"{where} has {advisory['id']}, fixed in {fixed}: {advisory['description'][:200]}")
    for entry in accepted:
        if entry.until < today:
            problems.append(f"{entry.id} of {entry.package} was accepted until {entry.until}: {entry.reason}")
        elif entry not in found:
            problems.append(f"{entry.id} of {entry.package} is accepted, and no longer found")
    return problems


def main() -> int:
    options = argparse.ArgumentParser(description="Looks every pinned package up in OSV.")
    options.add_argument("--osv-url", help="another address of OSV")
    options.add_argument("files", nargs="*", type=Path, help="requirements; without them: all of this project")
    chosen = options.parse_args()
    files = chosen.files or [*ROOT.glob("requirements/*.txt"), ROOT / "layers/dependencies/requirements.txt"]
    address = ["--osv-url", chosen.osv_url] if chosen.osv_url else []
    # A package that several files pin to the same version counts once.
    packages = {each["name"] + each.get("version", ""): each for file in files for each in ask(file, *address)}
    accepted = read_accepted(Path(__file__).with_name("accepted.toml"))
    problems = judge(packages.values(), accepted, datetime.now(UTC).date())
    print(*problems, f"{len(packages)} packages audited, {len(problems)} problems", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
