"""One stack from its creation to its deletion, through every kind of update. The tests follow each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.deployment.artifacts import check_artifacts
from local.deployment.deploy_local import end_to_end
from local.deployment.left_over import inventory
from local.deployment.ministack import Emulator
from local.deployment.stack import Stack
from local.deployment.uploads import uploaded
from local.sam_cli import find_sam
from tests.deployment.support.deployed import Deployed
from tests.e2e.support.client import eventually
from tests.support.root import ROOT

QUERY = '-- summary = "Later"\n-- ttl     = "60s"\n-- tags    = [{tags}]\nselect id from later\n'
TABLE = "create table later (id bigint primary key);\nselect cacheaside.watch('later');\n"


@pytest.fixture(scope="module")
def before(emulator: Emulator) -> set[str]:
    return inventory(emulator)


@pytest.fixture(scope="module")
def deployed(emulator: Emulator, project: Path, before: set[str]) -> Deployed:
    stack = Stack(emulator, project, find_sam(ROOT), parameters={"SampleSize": "100", "Invalidation": "schedule"})
    deployed = Deployed(stack)
    deployed.update()
    return deployed


def test_created_stack_passes_the_end_to_end_suite(deployed: Deployed) -> None:
    end_to_end(ROOT, deployed.stack)


def test_artifacts_have_all_files_of_the_checkout_and_no_others(deployed: Deployed) -> None:
    lines = list(check_artifacts(deployed.stack.project, uploaded(deployed.stack.emulator, deployed.stack.name)))
    assert len(lines) == 4


def test_nothing_changes_when_nothing_has_changed(deployed: Deployed) -> None:
    versions = deployed.versions()
    assert "No changes to deploy" in deployed.stack.deploy()
    assert deployed.versions() == versions


def test_write_that_nobody_tells_of_is_swept(deployed: Deployed) -> None:
    api, path = deployed.api, "/queries/lasting?id=3"
    assert "hit" in eventually(lambda: api.get(path), lambda answer: "hit" in answer.cache).cache
    deployed.psql("update products set name = 'swept' where id = 3")

    def is_swept(_: object = None) -> bool:
        return bool(api.get(path).json["data"]["name"] == "swept")

    assert any(eventually(is_swept, bool) for _ in range(4))  # the schedule sweeps each minute


def test_new_migration_and_new_query_are_deployed(deployed: Deployed) -> None:
    versions = deployed.versions()
    deployed.write("catalogue/migrations/0003_later.sql", TABLE)
    deployed.write("catalogue/queries/later.sql", QUERY.format(tags='"later"'))
    deployed.update()
    assert deployed.api.get("/queries/later").json["data"] == []
    assert all(deployed.versions()[name] != version for name, version in versions.items())


def test_failing_migration_is_rolled_back_and_old_code_answers(deployed: Deployed) -> None:
    versions = deployed.versions()
    later = deployed.write("catalogue/queries/later.sql", QUERY.format(tags='"later"').replace("id", "id, 1 as one"))
    fails = deployed.write("catalogue/migrations/0004_fails.sql", "alter table nowhere add column x integer;\n")
    reason = deployed.failure()
    assert reason.startswith("Migrations: catalogue/migrations/0004_fails.sql:")
    assert 'relation "nowhere" does not exist' in reason
    assert deployed.stack.emulator.address not in reason
    assert deployed.versions()["Query"] == versions["Query"]
    deployed.check_api()
    fails.unlink()
    later.write_text(QUERY.format(tags='"later"'))


def test_forgotten_tag_is_refused_with_the_line_to_write(deployed: Deployed) -> None:
    file = deployed.write("catalogue/queries/later.sql", QUERY.format(tags=""))
    assert 'write -- tags = ["later"]' in deployed.failure()
    file.write_text(QUERY.format(tags='"later"'))


def test_changed_layer_alone_reaches_migrate_and_query(deployed: Deployed) -> None:
    versions = deployed.versions()
    module = deployed.stack.project / "layers/cacheaside/cacheaside/clock.py"
    module.write_text(module.read_text() + "\n# changed\n")
    deployed.update()
    assert deployed.versions()["Query"] != versions["Query"]
    assert deployed.versions()["Migrate"] != versions["Migrate"]
    deployed.check_api()


def test_alias_serves_a_changed_parameter(deployed: Deployed) -> None:
    """The functions move to another cache, and the old one is deleted."""
    old = deployed.environment("Query")["CACHE_URL"]
    deployed.stack.parameters = {**deployed.stack.parameters, "CacheType": "serverless"}
    deployed.stack.deploy()
    assert deployed.environment("Query")["CACHE_MODE"] == "serverless"
    assert deployed.environment("Command")["CACHE_URL"] == deployed.environment("Query")["CACHE_URL"] != old
    deployed.check_api()


def test_deleted_stack_leaves_what_the_docs_say(deployed: Deployed, before: set[str]) -> None:
    deployed.stack.delete()
    left = inventory(deployed.stack.emulator) - before
    # The emulator makes a log group again for an invocation that ends after its deletion, also one of another stack's
    # function that has polled for a minute. On AWS no role may do that.
    said = re.compile("rds DBSnapshots: |s3 Buckets: |logs logGroups: /[^/]+/(query|command|invalidate|migrate)$")
    assert [each for each in sorted(left) if not said.match(each)] == []
