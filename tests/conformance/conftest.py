"""The whole API: real functions behind the local gateway, real servers, and a catalogue of all types."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from local.api.gateway import Gateway
from local.environment import function_environment
from local.stack import running_stack
from local.template import read_template
from migrate.described_rows import describe_rows
from tests.component.support.checkout import copy_project

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def address(new_folder: Callable[[str], Path]) -> Iterator[str]:
    """The URL of the API. The catalogue has the statements of the tests' shop, and those beside this file."""
    folder = copy_project(new_folder("project")).folder
    shutil.copytree(FOLDER / "catalogue", folder / "functions" / "catalogue", dirs_exist_ok=True)
    template = read_template(folder / "template.yaml")
    with pytest.MonkeyPatch.context() as patch, closing(Gateway(0)) as gateway:
        patch.setenv("SAMPLE_SIZE", "100")
        with running_stack(new_folder("conformance"), print) as stack:
            with closing(psycopg2.connect(stack.database_url)) as connection:
                with connection, connection.cursor() as cursor:
                    cursor.execute((FOLDER / "things.sql").read_text())
                describe_rows(connection, folder / "functions" / "catalogue")
            environment = function_environment(stack.database_url, stack.cache_url, stack.embedded)
            with gateway.serving(template, environment, stack.log, print_line=print):
                yield gateway.url
