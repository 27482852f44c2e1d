"""A deployed stack under test: its API, its database, and the code that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from botocore.credentials import Credentials

from local.containers import engine
from local.deployment.ministack import KEYS
from local.deployment.stack import DeploymentFailed, Stack
from local.live.http import Authorize, unsigned
from local.live.target import Target, describe_stack, target_of_stack
from tests.e2e.support.client import Client, eventually

__all__ = ["Deployed"]


@dataclass
class Deployed:
    stack: Stack
    token: str | None = None

    @property
    def api(self) -> Client:
        """A client that may read and write."""
        return Client(self._target.url, self._target.authorize)

    @property
    def authorize(self) -> Authorize:
        """Authenticates a caller who may read and write."""
        return self._target.authorize

    @property
    def _target(self) -> Target:
        described = describe_stack(self.stack.name, self.stack.emulator.client("cloudformation"))
        return target_of_stack(described, Credentials(*KEYS.values()), self.token)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the project below functions/."""
        file = self.stack.project / "functions" / path
        file.write_text(text)
        return file

    def update(self) -> None:
        self.stack.build()
        self.stack.deploy()

    def failure(self) -> str:
        """Update, which must fail. Return the reason that CloudFormation shows."""
        try:
            self.update()
        except DeploymentFailed:
            assert self.stack.described()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
            return self.stack.failures()[0]
        raise AssertionError("the update has not failed")

    def versions(self) -> dict[str, str]:
        """Return the version behind the alias of each function that has one."""
        client, outputs = self.stack.emulator.client("lambda"), self.stack.outputs()
        names = ("Query", "Command", "Migrate")
        aliases = {each: client.get_alias(FunctionName=outputs[f"{each}FunctionName"], Name="live") for each in names}
        return {name: alias["FunctionVersion"] for name, alias in aliases.items()}

    def environment(self, function: str) -> dict[str, str]:
        """Return the variables of the version that the alias of the function names."""
        client, name = self.stack.emulator.client("lambda"), self.stack.outputs()[f"{function}FunctionName"]
        found: dict[str, str] = client.get_function_configuration(FunctionName=name, Qualifier="live")["Environment"][
            "Variables"
        ]
        return found

    def psql(self, sql: str) -> str:
        """Run SQL as the administrator, who tells nobody of it."""
        label, database = self.stack.emulator.label, f"db_id={self.stack.name}-server"
        [container] = engine.containers(label, database)
        command = ("psql", "--host=/tmp", "--user", "rdsadmin", "--tuples-only", "--no-align", "--command", sql)
        return engine.run_in(container, *command, "cacheaside").strip()

    def check_api(self) -> None:
        """A hit, a refused stranger, a command, and a miss with its change at once."""
        api, path = self.api, "/queries/product?id=7"
        assert eventually(lambda: api.get("/health"), lambda answer: answer.json["status"] == "ok").status == 200
        first = eventually(lambda: api.get(path), lambda answer: answer.status == 200)
        again = eventually(lambda: api.get(path), lambda answer: "hit" in answer.cache)
        assert "hit" in again.cache
        price = first.json["data"]["price"] + 1
        stranger = Client(self._target.url, unsigned)
        assert stranger.post("/commands/set_price", {"id": 7, "price": price}).status in (401, 403)
        written = api.post("/commands/set_price", {"id": 7, "price": price})
        assert (written.status, written.json.get("invalidation")) == (200, "done"), written.body
        changed = api.get(path)
        assert (changed.json["data"]["price"], "hit" in changed.cache) == (price, False)
