"""Commands that start a stack: run, demo, deploy-local."""

from __future__ import annotations

import click

from local.cli.main import PROBLEMS
from local.signals import Shutdown

__all__ = ["demo", "deploy_local", "run"]


@click.command()
@click.pass_obj
def run(shutdown: Shutdown) -> None:
    """Serve the API on this machine, until Ctrl-C.

    Starts PostgreSQL and Valkey. With DATABASE_URL, or after `cacheaside init`, it uses that database. PORT= chooses
    another port than 3000, CACHE_URL= a running cache.
    """
    from local.serving import serve

    if shutdown.requested:  # a library may have swallowed the exception while it was imported
        raise KeyboardInterrupt
    serve(shutdown)


@click.command()
def demo() -> int:
    """Ask every query twice, and print a table of the times.

    Exit status 1 if a second call was no hit, or a required parameter has no example.
    """
    from local.demo import run_demo

    return 0 if run_demo() else PROBLEMS


@click.command()
@click.option("--config-env", default="dev", show_default=True, help="The section of samconfig.toml.")
def deploy_local(config_env: str) -> None:
    """Deploy to an emulator of AWS: build, deploy, test, update, delete."""
    from local import ROOT
    from local.deployment.deploy_local import deploy_local as deploy
    from local.terminal import print_line

    deploy(ROOT, config_env, print_line)
