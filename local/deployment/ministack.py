"""Starts MiniStack, an emulator of AWS: a process of this machine. Its functions and servers are Docker containers."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.containers import engine
from local.containers.forward import forwarded
from local.errors import LocalError
from local.live.http import send
from local.servers.processes import HOST, reserved_ports

__all__ = ["KEYS", "REGION", "Emulator", "running_ministack"]

REGION: Final = "us-east-1"
# The servers check tokens with the secret that MiniStack itself has: it gives it to functions.
KEYS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
# No registry has this name. So the stand-ins below it replace no image of this machine, and are never pulled.
REGISTRY: Final = "cacheaside.invalid"
FUNCTION_IMAGE: Final = "public.ecr.aws/lambda/python:3.13"
SERVER_IMAGES: Final = (
    "postgres:16-alpine",
    "postgres:17-alpine",
    "postgres:18-alpine",
    "valkey/valkey:8.1-alpine",
    "valkey/valkey:8.2-alpine",
    "redis:7-alpine",
)
_BUNDLE: Final = "/opt/certificates/rds-global-bundle.pem"


@dataclass(frozen=True)
class Emulator:
    url: str
    address: str  # of this machine, as its containers know it
    log: Path

    @property
    def label(self) -> str:
        """The label of its containers."""
        return f"ministack.instance=cacheaside:{self.url.rpartition(':')[2]}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which the SAM CLI and boto3 call the emulator, and no profile of this machine."""
        nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        called = {"AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": REGION, "NO_PROXY": HOST, "no_proxy": HOST}
        sam = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "1"}
        return {"AWS_EC2_METADATA_DISABLED": "true", **nowhere, **called, **sam, **KEYS}

    @property
    def authorities(self) -> bytes:
        """The certificates with which the emulator signs those of databases and of caches."""
        paths = ("/_ministack/rds/ca.pem", "/_ministack/elasticache/ca.pem")
        return b"".join(send("GET", self.url + path).body for path in paths)

    def client(self, service: str) -> Any:
        """Return boto3's client of a service of the emulator."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )


@contextmanager
def running_ministack(root: Path, folder: Path) -> Iterator[Emulator]:
    """Run the emulator within the block; its log and data are in `folder`. Raises `LocalError` or `EngineMissing`.

    Gets the images first. They are Debian's servers, which demand TLS and IAM tokens as RDS and ElastiCache do.
    """
    program = root / ".venv-ministack" / "bin" / "ministack"
    if not program.exists():
        raise LocalError("MiniStack is not installed: run `make .venv-ministack`")
    engine.require()
    engine.require_image(FUNCTION_IMAGE)
    engine.tag(FUNCTION_IMAGE, f"{REGISTRY}/{FUNCTION_IMAGE}")
    engine.require_servers(*(f"{REGISTRY}/{image}" for image in SERVER_IMAGES))
    address, log = engine.host_address(), folder / "ministack.log"
    with reserved_ports() as ports, log.open("w") as output:
        environment = {**os.environ, **_variables(ports, address, folder)}
        process = subprocess.Popen([str(program)], env=environment, cwd=folder, stdout=output, stderr=output)
        emulator = Emulator(f"http://{HOST}:{ports[0]}", address, log)
        try:
            with forwarded(address, [(HOST, ports[0])]):
                while not _answers(process, emulator):
                    time.sleep(0.2)
                yield emulator
        finally:
            process.kill()  # it would end its containers one after the other, each with a grace period
            process.wait()
            engine.remove_containers(emulator.label)


def _variables(ports: range, address: str, folder: Path) -> dict[str, str]:
    return {
        **KEYS,
        # It names containers by account and stack, and removes those that have the name already: another run's.
        "MINISTACK_ACCOUNT_ID": f"{ports[0]:012}",
        "MINISTACK_IMAGE_PREFIX": REGISTRY,
        "MINISTACK_REGION": REGION,
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(ports[0]),
        "MINISTACK_HOST": address,  # one name of this machine that it and its containers understand
        "DOCKER_NETWORK": "bridge",
        "MINISTACK_RDS_PUBLIC_ENDPOINT": "1",  # its certificates of databases name no container
        # It counts up from these. The container of a cache whose port is in use never starts, and it does not say so.
        "RDS_BASE_PORT": str(ports[1]),
        "ELASTICACHE_BASE_PORT": str(ports[len(ports) // 2]),
        "LAMBDA_EXECUTOR": "docker",
        "LAMBDA_DOCKER_FLAGS": f"-e SSL_CERT_FILE={_BUNDLE}",
        "MINISTACK_DOCKER_TIMEOUT": "300",  # its own patience is 10 s, and a busy engine needs longer
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_HOSTNAME": "cacheaside",
        "TMPDIR": str(folder),
    }


def _answers(process: subprocess.Popen[bytes], emulator: Emulator) -> bool:
    if process.poll() is not None:
        raise LocalError(f"MiniStack has ended:\n{emulator.log.read_text()[-2000:]}")
    try:
        return send("GET", f"{emulator.url}/_ministack/health").status == 200
    except OSError:
        return False
