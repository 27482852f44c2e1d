"""The built functions in containers, with the configuration of a deployment: IAM tokens, verified TLS, and own roles.

Each function has the credentials of its role only.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from local.containers import engine
from local.containers.emulator import FUNCTIONS, IMAGE, built
from local.containers.forward import forwarded
from local.containers.response_url import response_server
from local.event_of_request import event_of_request
from local.sam_cli import find_sam, host_architecture
from local.servers.processes import HOST
from local.template import read_template
from tests.emulator.sign_in.conftest import Servers
from tests.emulator.sign_in.containers import ADMINISTRATOR, NAMES, Function, running_function
from tests.emulator.sign_in.deployed import credentials, environment
from tests.emulator.sign_in.test_connections import end_database_connections
from tests.support.root import ROOT

TEMPLATE: Final = read_template(ROOT / "template.yaml")
EVENTS: Final = ROOT / "events"
PRODUCT: Final = "/queries/product?id=42"
BUNDLE: Final = "/authority.crt"


class Deployed:
    """The functions of one deployment, each started when it is first invoked."""

    def __init__(self, servers: Servers, start: Callable[[str], Function]) -> None:
        self.servers = servers
        self._start = start
        self._started: dict[str, Function] = {}

    def invoke(self, name: str, event: Any) -> Any:
        if name not in self._started:
            self._started[name] = self._start(name)
        return self._started[name].invoke(event)

    def ask(self, target: str) -> tuple[int, str]:
        """Return status and Cache-Status of a GET request."""
        answer = self.invoke(*event_of_request(TEMPLATE, "GET", target))
        return answer["statusCode"], answer["headers"].get("Cache-Status", "")

    def post(self, target: str, body: Any) -> tuple[int, Any]:
        answer = self.invoke(*event_of_request(TEMPLATE, "POST", target, body))
        return answer["statusCode"], json.loads(answer["body"])

    def migrate(self) -> Any:
        """Return the response of the migrate function to CloudFormation."""
        with response_server() as (port, responses), forwarded(engine.host_address(), [(HOST, port)]):
            event = json.loads((EVENTS / "migrate_create.json").read_text())
            event["ResourceProperties"]["SampleSize"] = "100"
            self.invoke("MigrateFunction", {**event, "ResponseURL": f"http://{engine.HOST_NAME}:{port}/"})
        return responses[-1]


@pytest.fixture(scope="module")
def deployed(
    start_servers: Callable[[ExitStack], Servers], project: Path, new_folder: Callable[[str], Path]
) -> Iterator[Deployed]:
    """All functions, on servers of their own that were migrated by the function which does that on AWS."""
    architecture = host_architecture()
    image = IMAGE.format(architecture=architecture)
    engine.require_image(image)
    build = built(project, find_sam(ROOT), architecture).parent
    layers = new_folder("layers")
    for layer in ("DependenciesLayer", "CacheasideLayer"):
        shutil.copytree(build / layer, layers, dirs_exist_ok=True)
    with ExitStack() as exits:
        servers = start_servers(exits)
        variables = environment(f"{NAMES['database']}:5432", f"{NAMES['cache']}:6379", BUNDLE)

        def start(name: str) -> Function:
            function = TEMPLATE.functions[name]
            mounts = {build / name: "/var/task", layers: "/opt", servers.authority.bundle: BUNDLE}
            values = {**function.environment, **variables[name], **credentials(name)}
            found = {"database": servers.database, "cache": servers.cache}
            return exits.enter_context(running_function(image, mounts, function.handler, values, found))

        deployed = Deployed(servers, start)
        response = deployed.migrate()
        assert response["Status"] == "SUCCESS", response
        yield deployed


def test_every_function_is_started() -> None:
    assert set(TEMPLATE.functions) == set(FUNCTIONS.values())


def test_a_miss_a_hit_a_command_an_invalidation_and_a_sweep(deployed: Deployed) -> None:
    missed, hit = (200, "cacheaside; fwd=miss; stored"), (200, "cacheaside; hit")

    def asked() -> tuple[int, str]:
        status, cache_status = deployed.ask(PRODUCT)
        return status, cache_status.partition("; ttl=")[0]

    assert (asked(), asked()) == (missed, hit)
    status, written = deployed.post("/commands/set_price", {"id": 42, "price": 9.99})
    assert (status, written["invalidation"]) == (200, "done")
    assert (asked(), asked()) == (missed, hit)
    assert deployed.post("/invalidations", {"tags": ["products"]})[0] == 200
    assert (asked(), asked()) == (missed, hit)
    statement = "update products set price = price + 1 where id = 42"
    deployed.servers.database.run("psql", "-h", "/tmp", "-U", "rdsadmin", "-d", "shop", "-c", statement)  # noqa: S108
    deployed.invoke("InvalidateFunction", json.loads((EVENTS / "invalidate_schedule.json").read_text()))
    assert asked() == missed


def test_connections_that_both_servers_have_ended_cost_no_answer(deployed: Deployed) -> None:
    deployed.ask(PRODUCT)
    deployed.servers.cache.run(*ADMINISTRATOR, "CLIENT", "KILL", "TYPE", "NORMAL")
    end_database_connections(deployed.servers)
    status, cache_status = deployed.ask(PRODUCT)
    assert (status, cache_status[: len("cacheaside; hit")]) == (200, "cacheaside; hit")
    deployed.servers.cache.run(*ADMINISTRATOR, "CLIENT", "KILL", "TYPE", "NORMAL")
    end_database_connections(deployed.servers)
    status, written = deployed.post("/commands/set_price", {"id": 42, "price": 9.99})
    assert (status, written["invalidation"]) == (200, "done")


def test_health_of_both_servers(deployed: Deployed) -> None:
    assert deployed.ask("/health")[0] == 200
