"""The local gateway with the real functions, once for each set of environment variables."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from local.api.gateway import Gateway
from local.environment import function_environment
from local.stack import Stack
from local.template import read_template
from tests.component.support.checkout import copy_project

__all__ = ["Served", "copy_with_catalogue"]


def copy_with_catalogue(folder: Path) -> Path:
    """Copy the project, and add the catalogue of these tests. Returns the catalogue's folder."""
    project = copy_project(folder).folder
    catalogue = project / "functions" / "catalogue"
    shutil.copytree(Path(__file__).parents[1] / "catalogue", catalogue, dirs_exist_ok=True)
    return catalogue


@dataclass
class Served:
    """What is served: its servers, its catalogue, and a gateway for each set of variables of the query function."""

    stack: Stack
    catalogue: Path
    exits: ExitStack
    _urls: dict[frozenset[tuple[str, str]], str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address with the variables that `cacheaside run` sets."""
        return self.url_with()

    def url_with(self, **variables: str) -> str:
        """Return the address where the query function has these variables, too."""
        key = frozenset(variables.items())
        if key not in self._urls:
            self._urls[key] = self._serve(variables, f"gateway-{len(self._urls)}")
        return self._urls[key]

    def _serve(self, variables: dict[str, str], name: str) -> str:
        template = read_template(self.catalogue.parents[1] / "template.yaml")
        if variables:  # the first gateway runs the schedules
            template = replace(template, schedules=())
        environment = function_environment(self.stack.database_url, self.stack.cache_url, self.stack.embedded)
        environment["QueryFunction"] |= variables
        gateway = self.exits.enter_context(closing(Gateway(0)))
        self.exits.enter_context(gateway.serving(template, environment, self.stack.log / name, print_line=print))
        return gateway.url
