"""Takes every trace of cacheaside out of a database: its schema, the triggers, its roles and their rights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg2
from psycopg2.extensions import cursor as Cursor

from local import ROOT
from local.acting_roles import ACTING
from local.connecting import connected, rows
from local.endpoints import is_running, read_endpoints
from local.errors import LocalError
from local.postgres_urls import place_of, without_credentials
from local.recorded_url import forget_url
from local.terminal import PrintLine, one_line

__all__ = ["Traces", "carry_out", "find_traces"]

_SCHEMA: Final = "drop schema cacheaside cascade"
# No event trigger follows what is dropped.
_STOP_FOLLOWING: Final = """do $$ begin
    if has_table_privilege(to_regclass('cacheaside.following'), 'select') then
        perform set_config('cacheaside.following', (select token from cacheaside.following), true);
    end if;
end $$"""
_TRIGGERS: Final = """
select count(*), count(distinct tgrelid) from pg_trigger
join pg_proc on pg_proc.oid = tgfoid
where pronamespace = to_regnamespace('cacheaside') and tgparentid = 0
"""
_EVENT_TRIGGERS: Final = """
select evtname from pg_event_trigger
join pg_proc on pg_proc.oid = evtfoid
where pronamespace = to_regnamespace('cacheaside')
order by 1
"""
# Objects of the user that would be dropped with the schema.
_DEPENDENTS: Final = """
with ours (classid, objid) as (
    select 'pg_class'::regclass, oid from pg_class where relnamespace = to_regnamespace('cacheaside')
    union all
    select 'pg_proc'::regclass, oid from pg_proc where pronamespace = to_regnamespace('cacheaside')
)
select ev_class::regclass::text
from ours
join pg_depend on (refclassid, refobjid) = (ours.classid, ours.objid) and pg_depend.classid = 'pg_rewrite'::regclass
join pg_rewrite on pg_rewrite.oid = pg_depend.objid
join pg_class on pg_class.oid = ev_class
where relnamespace <> to_regnamespace('cacheaside')
union
select pg_proc.oid::regprocedure::text
from ours
join pg_depend on (refclassid, refobjid) = (ours.classid, ours.objid) and pg_depend.classid = 'pg_proc'::regclass
join pg_proc on pg_proc.oid = pg_depend.objid
where pronamespace <> to_regnamespace('cacheaside')
order by 1
"""
# By the owner of each object: `drop owned` would need membership, and would take rights in other databases as well.
_RIGHTS: Final = """
with role as (select oid, rolname from pg_roles where rolname = any (%(roles)s)),
holder (what, acl) as (
    select format('%%s %%s', case relkind when 'S' then 'sequence' else 'table' end, pg_class.oid::regclass), relacl
    from pg_class where relnamespace is distinct from to_regnamespace('cacheaside')
    union all
    select format('table %%s', attrelid::regclass), attacl
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace is distinct from to_regnamespace('cacheaside')
    union all
    select format('routine %%s', pg_proc.oid::regprocedure), proacl
    from pg_proc where pronamespace is distinct from to_regnamespace('cacheaside')
    union all
    select format('schema %%I', nspname), nspacl from pg_namespace where nspname <> 'cacheaside'
    union all
    select format('database %%I', datname), datacl from pg_database where datname = current_database()
)
select format('revoke all on %%s from %%I', what, rolname)
from holder cross join aclexplode(acl) join role on role.oid = grantee
union
select format('alter default privileges for role %%I %%srevoke all on %%s from %%I',
    pg_get_userbyid(defaclrole),
    case when defaclnamespace <> 0 then format('in schema %%I ', nspname) end,
    case defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
        else 'schemas' end,
    rolname)
from pg_default_acl
left join pg_namespace on pg_namespace.oid = defaclnamespace
cross join aclexplode(defaclacl)
join role on role.oid = grantee
order by 1
"""
_ROLES: Final = """
select rolname, array(
    select datname from pg_database
    where exists (select from pg_shdepend
                  where dbid = pg_database.oid and refclassid = 'pg_authid'::regclass and refobjid = pg_roles.oid)
      and datname <> current_database()
    order by 1
)::text[]
from pg_roles
where rolname = any (%(roles)s)
order by 1
"""
# What for-the-administrator.sql may have granted: the owners of the watched tables, and the roles that stay.
_MEMBERSHIPS: Final = """
select distinct quote_ident(granted.rolname), quote_ident(current_user)
from pg_auth_members
join pg_roles as granted on granted.oid = roleid
join pg_roles as mine on mine.oid = member and mine.rolname = current_user
where granted.rolname = any (%(roles)s)
   or granted.oid in (
       select relowner from pg_trigger
       join pg_proc on pg_proc.oid = tgfoid
       join pg_class on pg_class.oid = tgrelid
       where pronamespace = to_regnamespace('cacheaside')
   )
order by 1
"""


@dataclass(frozen=True)
class Traces:
    """The statements that take them out, and the roles that stay with the databases that use them."""

    database: str
    statements: Sequence[str]
    triggers: tuple[int, int]  # the number of triggers, and of the tables that have them
    event_triggers: Sequence[str]
    kept: dict[str, list[str]]
    memberships: Sequence[tuple[str, str]]  # role and member

    def text(self) -> str:
        """Return what will be done, for a person."""
        if not self.statements:
            lines = [f"{self.database}: there is no trace of cacheaside."]
        else:
            lines = [f"{self.database}: these statements are run.", ""]
            lines += [f"    {statement};" for statement in self.statements]
        if _SCHEMA in self.statements:
            count, tables = self.triggers
            events = f", and the event triggers {', '.join(self.event_triggers)}" if self.event_triggers else ""
            lines += ["", f"With the schema go {count} triggers on {tables} table{'s' * (tables != 1)}{events}."]
        for role, databases in self.kept.items():
            plural = "s" * (len(databases) > 1)
            lines.append(f"The role {role} stays: it is used in the database{plural} {', '.join(databases)}.")
        for role, member in self.memberships:
            lines.append(
                f"{member} stays a member of {role}. If for-the-administrator.sql granted it, an administrator may "
                f"run: revoke {role} from {member};"
            )
        return "\n".join([*lines, "", "Your tables and their rows stay as they are. The recorded URL is removed."])


def find_traces(url: str) -> Traces:
    """Return the traces in the database.

    Raises `LocalError` if an object of the user would be dropped with them, or answers from the database are served.
    """
    _refuse_running(url)
    with connected(url) as connection, connection, connection.cursor() as cur:
        cur.execute("set transaction read only")
        return _traces(cur, without_credentials(url))


def carry_out(url: str, print_line: PrintLine) -> bool:
    """Remove the traces in one transaction, and the recorded URL. Return whether none is left for an administrator."""
    with connected(url) as connection, connection, connection.cursor() as cur:
        cur.execute("set local lock_timeout = '10s'")
        cur.execute(_STOP_FOLLOWING)
        found = _traces(cur, "")
        refused = [each for statement in found.statements if (each := _refusal(cur, statement))]
        left = _traces(cur, "")
    if not left.statements:
        forget_url()
        if not found.statements:
            return True
        print_line("\nRemoved." if not left.kept else f"\nRemoved, apart from {', '.join(left.kept)}.")
        return True
    reasons = "".join(f"\n  {reason}" for reason in dict.fromkeys(refused))
    statements = "".join(f"\n    {statement};" for statement in left.statements)
    print_line(
        f"\nLeft for a superuser, on RDS the master user (the URL stays recorded):\n{statements}\n\n"
        f"PostgreSQL says:{reasons}"
    )
    return False


def _refuse_running(url: str) -> None:
    """Without the triggers nothing invalidates the answers that a running stack has cached."""
    folder = ROOT / ".local"
    endpoints = read_endpoints(folder)
    if endpoints and is_running(folder) and place_of(endpoints.database) == place_of(url):
        raise LocalError("`cacheaside run` serves this database in another terminal: stop it first")


def _traces(cur: Cursor, database: str) -> Traces:
    roles = {"roles": list(ACTING)}
    has_schema = rows(cur, "select to_regnamespace('cacheaside') is not null") == [(True,)]
    if dependents := [name for (name,) in rows(cur, _DEPENDENTS)]:
        raise LocalError(f"{', '.join(dependents)}: made from objects of the schema cacheaside; drop them first")
    used = dict(rows(cur, _ROLES, roles))
    kept = {role: databases for role, databases in used.items() if databases}
    return Traces(
        database,
        [
            *([_SCHEMA] if has_schema else []),
            *(statement for (statement,) in rows(cur, _RIGHTS, roles)),
            *(f"drop role {role}" for role, databases in used.items() if not databases),
        ],
        triggers=rows(cur, _TRIGGERS)[0],
        event_triggers=[name for (name,) in rows(cur, _EVENT_TRIGGERS)],
        kept=kept,
        memberships=[(role, member) for role, member in rows(cur, _MEMBERSHIPS, {"roles": list(kept)})],
    )


def _refusal(cur: Cursor, statement: str) -> str | None:
    """Run the statement. Return PostgreSQL's reason if it may not be run, or None."""
    cur.execute("savepoint one")
    try:
        cur.execute(statement)
    except (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.DependentObjectsStillExist) as error:
        cur.execute("rollback to savepoint one")
        return one_line(error)
    cur.execute("release savepoint one")
    return None
