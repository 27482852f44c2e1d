"""Looks at a database: the server, the rights of the user, the tables. It reads in one read-only transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import cursor as Cursor

from local.acting_roles import ACTING
from local.connecting import connected, rows
from local.errors import LocalError
from migrate.upgrade import FUNCTIONS, read_migrations

__all__ = ["Database", "Relation", "look"]

# The check needs EXPLAIN (GENERIC_PLAN).
_OLDEST: Final = 160_000

_SERVER: Final = """
select
    current_setting('server_version_num')::integer,
    current_setting('server_version'),
    pg_is_in_recovery(),
    to_regproc('pg_catalog.aurora_version') is not null,
    quote_ident(current_database()),
    quote_ident(current_user),
    rolsuper,
    exists (select from pg_roles as cloud where cloud.rolname = 'rds_superuser'
            and pg_has_role(current_user, cloud.oid, 'member')),
    exists (select from pg_roles as cloud where cloud.rolname = 'rds_iam'),
    rolcreaterole,
    has_database_privilege(current_database(), 'create'),
    current_schemas(false) = '{public}',
    (select quote_ident(pg_get_userbyid(nspowner)) from pg_namespace
     where nspname = 'cacheaside' and not pg_has_role(current_user, nspowner, 'usage')),
    exists (select from pg_class where relname = 'migrations' and relnamespace = to_regnamespace('cacheaside')),
    exists (select from pg_class where relname = 'watched' and relnamespace = to_regnamespace('cacheaside'))
from pg_roles where rolname = current_user
"""
# The roles that exist, whether the user may give them settings, and whether he can act as them.
_ROLES: Final = """
select rolname, %(super)s or pg_has_role(current_user, oid, 'member with admin option'),
       %(super)s or pg_has_role(current_user, oid, 'set')
from pg_roles where rolname = any (%(roles)s)
"""
# The reasons are those of cacheaside.unrecordable (migrate/system/0009_recorded.sql), which is there only later.
_RELATIONS: Final = """
select
    pg_class.oid::regclass::text,
    nspname,
    relname,
    relkind,
    quote_ident(pg_get_userbyid(relowner)),
    pg_has_role(current_user, relowner, 'usage'),
    (select rolsuper from pg_roles where pg_roles.oid = relowner),
    pg_has_role(current_user, nspowner, 'usage'),
    has_schema_privilege(nspname, 'usage with grant option'),
    part.live, part.reads, part.writes, part.bytes, part.reason
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
cross join lateral (
    select
        coalesce(sum(greatest(n_live_tup, member.reltuples, 0)), 0)::bigint,
        coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0)::bigint,
        coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint,
        coalesce(sum(pg_total_relation_size(member.oid)), 0)::bigint,
        min(case
            when member.relkind not in ('r', 'p', 'm') then 'its rows, or some of them, are stored elsewhere'
            when member.relpersistence <> 'p' then 'it is not a permanent table, and a crash can empty it'
            when exists (select from pg_subscription_rel where srrelid = member.oid)
                then 'a subscription writes to it, which does not fire its triggers'
        end)
    from (
        select pg_class.oid union select relid from pg_partition_tree(pg_class.oid) where pg_class.relkind = 'p'
    ) as tree (part)
    join pg_class as member on member.oid = part
    left join pg_stat_user_tables on relid = part
) as part (live, reads, writes, bytes, reason)
where relkind in ('r', 'p', 'm', 'v', 'f')
  and not relispartition
  and relpersistence <> 't'
  and nspname !~ '^pg_'
  and nspname not in ('information_schema', 'cacheaside')
  and not exists (
      select from pg_depend where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e'
  )
order by nspname <> 'public', nspname, part.reads desc, relname
"""
# Tables in which migration tools keep their books.
_BOOKKEEPING: Final = re.compile(
    "_prisma_migrations|__EFMigrationsHistory|django_migrations|alembic_version|schema_migrations|ar_internal_metadata"
    "|flyway_schema_history|databasechangelog(lock)?|(knex|kysely|mikro_orm|phoenix)_migrations?(_lock)?|migrations"
    "|typeorm_metadata|SequelizeMeta|doctrine_migration_versions|phinxlog|goose_db_version|gorp_migrations"
    "|__drizzle_migrations|pgmigrations|_sqlx_migrations|__diesel_schema_migrations|refinery_schema_history"
    "|atlas_schema_revisions"
)


@dataclass(frozen=True)
class Relation:
    """A table, a partitioned table, a materialized or another view, or a foreign table."""

    name: str  # as PostgreSQL prints it, with its schema if that is not public
    schema: str
    plain_name: str  # without quotes
    kind: str  # of pg_class
    owner: str
    owned: bool  # whether the user has the rights of the owner
    owner_is_superuser: bool
    schema_owned: bool
    may_grant_schema: bool
    rows: int
    reads: int
    writes: int
    bytes: int
    unrecordable: str | None

    @property
    def is_bookkeeping(self) -> bool:
        return bool(_BOOKKEEPING.fullmatch(self.plain_name))

    @property
    def unwatchable(self) -> str | None:
        """Why it is not watched, or None."""
        if self.kind == "v":
            return "it is a view: its tables are watched"
        if self.kind == "m":
            return "event triggers record its refreshes, without a watch"
        if self.unrecordable:
            return self.unrecordable
        if self.is_bookkeeping:
            return "a migration tool keeps its books in it"
        if not self.owned and self.owner_is_superuser:
            return f"it belongs to the superuser {self.owner}, who alone can give it triggers"
        return None


@dataclass(frozen=True)
class Database:
    """The facts that `look` has found. `missing` are the statements that the roles still need."""

    version: str
    kind: str
    name: str
    user: str
    is_superuser: bool
    may_create_event_triggers: bool
    has_iam: bool  # whether the server is one of RDS, with the role rds_iam
    may_create_roles: bool
    may_create_schema: bool
    plain_search_path: bool
    missing: Sequence[str]
    joinable: Sequence[str]  # the roles that the user is no member of, but may make himself one
    closed: Sequence[str]  # those that he may not
    has_schema: bool
    applied: frozenset[tuple[str, int]]
    watched: frozenset[str]  # names of relations
    takes_options: bool
    relations: Sequence[Relation]


def look(url: str) -> Database:
    """Return the facts. Raises `LocalError` for a server on which it cannot work, with the reason."""
    if (urlsplit(url).hostname or "").endswith(".on.aws") and ".dsql." in url:
        raise LocalError("this is Aurora DSQL, which has no triggers: changes could not be recorded")
    takes_options = True
    try:
        return _look(url, takes_options)
    except _NoOptions:
        return _look(url, takes_options=False)


class _NoOptions(Exception):
    """The server, or a pooler before it, refuses startup options."""


def _look(url: str, takes_options: bool) -> Database:
    options = "-c default_transaction_read_only=on" if takes_options else ""
    try:
        with connected(url, options) as connection, connection, connection.cursor() as cur:
            cur.execute("set transaction isolation level repeatable read, read only; set local search_path = public")
            return _database(cur, takes_options)
    except LocalError as error:
        if takes_options and "options" in str(error) and isinstance(error.__cause__, psycopg2.OperationalError):
            raise _NoOptions from None
        raise


def _database(cur: Cursor, takes_options: bool) -> Database:
    # The search path that migrations run with is that of a session, which is not known inside this transaction.
    cur.execute("reset search_path")
    [server] = rows(cur, _SERVER)
    cur.execute("set local search_path = public")
    number, version, standby, aurora, name, user, superuser, rds_superuser, has_iam = server[:9]
    creates_roles, creates_schema, plain, owner_of_schema, has_schema, has_watched = server[9:]
    if number < _OLDEST:
        raise LocalError(f"PostgreSQL {version} is too old: the check of the queries needs PostgreSQL 16 or later")
    if standby:
        raise LocalError("this server is a standby, and cannot be written to: give the address of the primary")
    if owner_of_schema:
        raise LocalError(f"the schema cacheaside belongs to {owner_of_schema}: run `cacheaside init` as that user")
    roles = {role: rights for role, *rights in rows(cur, _ROLES, {"super": superuser, "roles": list(ACTING)})}
    may_create_roles = superuser or (creates_roles and all(admin for admin, _acts in roles.values()))
    outside = [role for role in ACTING if role not in roles or not roles[role][1]] if not superuser else []
    closed = [role for role in outside if not (roles[role][0] if role in roles else may_create_roles)]
    applied = rows(cur, "select series, number from cacheaside.migrations") if has_schema else []
    watched = rows(cur, "select relation::text from cacheaside.watched") if has_watched else []
    return Database(
        version=version,
        kind="Aurora" if aurora else "RDS" if has_iam else "PostgreSQL",
        name=name,
        user=user,
        is_superuser=superuser,
        may_create_event_triggers=superuser or rds_superuser,
        has_iam=has_iam,
        may_create_roles=may_create_roles,
        may_create_schema=creates_schema,
        plain_search_path=plain,
        missing=_missing(cur),
        joinable=[role for role in outside if role not in closed],
        closed=closed,
        has_schema=has_schema,
        applied=frozenset((series, number) for series, number in applied),
        watched=frozenset(name for (name,) in watched),
        takes_options=takes_options,
        relations=[Relation(*row) for row in rows(cur, _RELATIONS)],
    )


def _missing(cur: Cursor) -> list[str]:
    """Return the statements that the first block of 0001_roles.sql would run. Here it may write nothing, and fails."""
    [roles, *_] = read_migrations(FUNCTIONS)
    block = roles.sql[: roles.sql.index("$$;")] + "$$"
    cur.execute("savepoint asking")
    try:
        cur.execute(block)
    except psycopg2.errors.InsufficientPrivilege as error:
        cur.execute("rollback to savepoint asking")
        return (error.diag.message_hint or "").partition("must run: ")[2].split("; ")
    return []
