"""Commands that become another program: psql, valkey."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from local.cli.asked import of_stack
from local.errors import LocalError

if TYPE_CHECKING:
    from local.live.programs import Program

__all__ = ["psql", "valkey"]


class _WithOptions(click.Command):
    """Keeps what follows `--` as it is: the options of the other program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            args, ctx.meta["options"] = args[:at], args[at + 1 :]
        return super().parse_args(ctx, args)


@click.command(cls=_WithOptions)
@click.argument("sql", required=False)
@of_stack
@click.option(
    "--tunnel",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="The local port of a tunnel to the stack's database.",
)
@click.pass_context
def psql(ctx: click.Context, sql: str | None, stack: str | None, tunnel: int | None) -> None:
    """Open psql in the database, or run one statement of SQL. Options of psql follow `--`.

    It is the database of DATABASE_URL or of `cacheaside init`, else that of the stack on this machine. With --stack it
    is that of a deployed one, through a tunnel, as the database's owner with an IAM token (rds-db:connect).

    \b
    Examples:  cacheaside psql 'select count(*) from cacheaside.watched'
               cacheaside psql 'select 1' -- --csv
    The exit status is that of psql.
    """
    from local.live import programs
    from local.live.target import client, database, describe_stack

    arguments = [*(["--command", sql] if sql else []), *ctx.meta.get("options", [])]
    if stack:
        described = describe_stack(stack, client("cloudformation"))
        _become(programs.psql_through_tunnel(described, client("rds"), tunnel, arguments))
    if tunnel:
        raise click.UsageError("--tunnel goes with --stack")
    _become(programs.psql(database(), arguments))


@click.command(cls=_WithOptions, context_settings={"allow_interspersed_args": False})
@of_stack
@click.argument("command", nargs=-1, metavar="[COMMAND…]")
@click.pass_context
def valkey(ctx: click.Context, command: tuple[str, ...], stack: str | None) -> None:
    """Open valkey-cli in the cache of the stack on this machine, or run one command.

    Options of valkey-cli follow `--`, and a command may follow them.

    The cache of a deployed stack takes only its functions: use `cacheaside invalidate --stack` there.

    \b
    Examples:  cacheaside valkey info memory
               cacheaside valkey -- --scan --pattern 'cacheaside:tag:*'
    The exit status is that of valkey-cli.
    """
    from local.live import programs
    from local.live.target import running_stack

    if stack:
        raise LocalError(f"{programs.UNREACHABLE}: use `cacheaside invalidate --stack {stack}`, or docs/operations.md")
    _become(programs.valkey(running_stack().cache, [*command, *ctx.meta.get("options", [])]))


def _become(program: Program) -> None:
    """Replace this process, so that the other program has the terminal and its signals."""
    sys.stdout.flush()
    os.execve(program.command[0], program.command, os.environ | program.environment)  # noqa: S606 - no shell
