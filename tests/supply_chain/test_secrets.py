"""Keys and passwords are found wherever they were committed, and this repository holds none."""

from __future__ import annotations

import secrets
import string
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from proofs.supply_chain.secrets import ROOT, scan


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "change")


def characters(alphabet: str, length: int) -> str:
    """Return a secret that is made when the test runs: one in this file would be found in this repository."""
    return "".join(secrets.choice(alphabet) for _ in range(length))


def test_planted_secrets_are_found_also_after_their_removal(repository: Path, tmp_path: Path) -> None:
    key_id = "AKIA" + characters("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
    key = characters(string.ascii_letters + string.digits, 40)
    (repository / "aws.env").write_text(f"aws_access_key_id = {key_id}\naws_secret_access_key = {key}\n")
    private = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (repository / "id.pem").write_bytes(private)
    password = characters(string.ascii_letters + string.digits, 20)
    (repository / "settings.py").write_text(f'DATABASE_URL = "postgresql://shop:{password}@10.1.2.3:5432/shop"\n')
    commit(repository)
    git(repository, "rm", "-r", "--quiet", ".")
    commit(repository)

    found = {finding.path: finding.rule for finding in scan(repository, ROOT / ".local/kingfisher")}

    assert found.keys() == {"aws.env", "id.pem", "settings.py"}
    assert ("aws" in found["aws.env"], "private-key" in found["id.pem"]) == (True, True)


def test_this_repository_holds_no_secret() -> None:
    assert [str(finding) for finding in scan(ROOT, ROOT / ".local/kingfisher")] == []
