"""The check before a deployment."""

from __future__ import annotations

import click

__all__ = ["doctor"]


@click.command()
@click.option("--config-env", default="default", show_default=True, help="The environment in samconfig.toml.")
def doctor(config_env: str) -> int:
    """Check a deployment before `sam deploy`, and create nothing.

    Compares samconfig.toml, template.yaml and the build with the AWS account: quotas, zones, subnets, versions,
    certificates. It asks with the credentials of `sam deploy`; docs/deploying.md lists the permissions.

    Exit status 1 if there are problems, 3 if AWS could not be asked and the other checks found no problem.
    """
    from local import ROOT
    from local.doctor.examine import examine
    from local.terminal import print_line

    return examine(ROOT, config_env, print_line)
