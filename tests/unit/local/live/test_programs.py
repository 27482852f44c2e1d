"""The command lines of psql and valkey-cli: connected as told, without a password that `ps` would show."""

from __future__ import annotations

import boto3
import pytest
from psycopg2.extensions import parse_dsn
from samtranslator.yaml_helper import yaml_parse

from local.errors import LocalError
from local.live.programs import psql, psql_through_tunnel, valkey
from local.live.target import DeployedStack
from tests.support.root import ROOT

STACK = DeployedStack(
    name="shop-prod",
    region="eu-north-1",
    status="CREATE_COMPLETE",
    outputs={"DatabaseEndpoint": "db.abc.eu-north-1.rds.amazonaws.com:5432"},
    parameters={"DatabaseName": "cacheaside", "DatabaseOwner": "cacheaside_owner"},
)


@pytest.fixture
def rds() -> object:
    return boto3.client("rds", "eu-north-1", aws_access_key_id="AKID", aws_secret_access_key="secret")


def test_a_password_is_in_no_command_line() -> None:
    for program in (psql("postgresql://me:s3cret@127.0.0.1/x", []), valkey("redis://me:s3cret@127.0.0.1:1/2", [])):
        assert "s3cret" not in " ".join(program.command)
        assert [*program.environment.values()] == ["s3cret"]


def test_arguments_follow_the_connection() -> None:
    assert psql("postgresql://me@127.0.0.1/x", ["--csv"]).command[1:] == ["user=me dbname=x host=127.0.0.1", "--csv"]
    assert valkey("rediss://cache.local", ["get", "a b"]).command[1:] == (
        ["-h", "cache.local", "-p", "6379", "--tls", "get", "a b"]
    )


def test_a_database_with_tls_gets_the_psql_of_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    for url in ("postgresql://db.example/x", "postgresql://127.0.0.1/x?sslmode=require"):
        assert psql(url, []).command[0] == "/usr/bin/psql"
    assert psql("postgresql://127.0.0.1/x", []).command[0] != "/usr/bin/psql"


def test_a_tunnel_is_entered_here_and_the_certificate_is_verified_there(
    rds: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    program = psql_through_tunnel(STACK, rds, 15432, ["--csv"])
    parameters = parse_dsn(program.command[1])
    assert parameters.pop("sslrootcert").endswith("layers/dependencies/certificates/rds-global-bundle.pem")
    assert parameters == {
        "host": "db.abc.eu-north-1.rds.amazonaws.com",
        "hostaddr": "127.0.0.1",
        "port": "15432",
        "dbname": "cacheaside",
        "user": "cacheaside_owner",
        "sslmode": "verify-full",
    }
    token = program.environment["PGPASSWORD"]
    assert token.startswith("db.abc.eu-north-1.rds.amazonaws.com:5432/?Action=connect&DBUser=cacheaside_owner&")


def test_without_a_tunnel_it_says_how_to_open_one(rds: object) -> None:
    with pytest.raises(LocalError, match=r"(?s)cannot be reached from outside.*host=db\.abc\..*portNumber=5432"):
        psql_through_tunnel(STACK, rds, None, [])


def test_outputs_and_parameters_that_are_read_are_in_the_template() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert STACK.outputs.keys() <= template["Outputs"].keys()
    assert STACK.parameters.keys() <= template["Parameters"].keys()
