"""Lets the functions sign in with IAM tokens, which RDS accepts from members of its role rds_iam only.

This is done in a deployment and not by a migration. RDS accepts no password from a member of rds_iam, nor from a user
who is a member of a member. From PostgreSQL 16 on, who creates a role is a member of it: so a user with a password, who
applies the migrations on his own machine, would lock himself out.
"""

from __future__ import annotations

from typing import Final

from psycopg2.extensions import connection as Connection

__all__ = ["allow_tokens"]

_GRANT: Final = """
do $$
declare
    name text;
begin
    for name in
        select role.rolname
        from pg_roles as role
        join pg_roles as iam on iam.rolname = 'rds_iam'
        where role.rolname in ('cacheaside_query', 'cacheaside_command', 'cacheaside_invalidate')
          and not exists (select from pg_auth_members where roleid = iam.oid and member = role.oid)
    loop
        execute format('grant rds_iam to %I', name);
    end loop;
end
$$
"""


def allow_tokens(connection: Connection) -> None:
    """Make the roles of the functions members of rds_iam, where a server has it. Raises psycopg2.Error."""
    with connection, connection.cursor() as cursor:
        cursor.execute(_GRANT)
