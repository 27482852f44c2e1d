"""`make secrets`: looks for keys and passwords in every commit of the repository. Status 1 if it finds one.

Kingfisher looks. It could also try each secret at the service that it belongs to, and ask for its own updates: both are
off.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Finding", "main", "scan"]

ROOT = Path(__file__).parents[2]
KINGFISHER = Path(sys.executable).with_name("kingfisher")
FOUND_NOTHING, FOUND_SOMETHING = 0, 200  # its statuses


@dataclass(frozen=True)
class Finding:
    """A secret, named by its kind and place. The secret itself is not kept."""

    rule: str
    path: str
    line: int
    commit: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}, in commit {self.commit[:12]}"


def scan(repository: Path, cache: Path) -> list[Finding]:
    """Return the secrets in all commits. `cache` keeps the compiled rules.

    Only the history is read. In the folder itself Kingfisher would also read what git ignores, such as `.venv`.
    """
    asked = ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"]
    history = subprocess.run(asked, cwd=repository, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    command = [str(KINGFISHER), "scan", history, "--redact", "--no-validate", "--no-update-check", "--quiet"]
    scanned = subprocess.run([*command, "--rule-cache-dir", str(cache), "--format", "json"], stdout=subprocess.PIPE)
    if scanned.returncode not in {FOUND_NOTHING, FOUND_SOMETHING}:
        raise SystemExit(f"kingfisher failed with status {scanned.returncode}")
    return [_finding(each["rule"]["id"], each["finding"]) for each in json.loads(scanned.stdout)["findings"]]


def _finding(rule: str, found: dict[str, Any]) -> Finding:
    return Finding(rule, found["path"], found["line"], found["git_metadata"]["commit"]["id"])


def main() -> int:
    findings = scan(ROOT, ROOT / ".local" / "kingfisher")
    print(*findings, f"{len(findings)} secrets found", sep="\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
