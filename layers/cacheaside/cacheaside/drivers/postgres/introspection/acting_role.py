"""The role of the function that will run a statement. As that role, PostgreSQL resolves names and checks rights."""

from __future__ import annotations

from typing import Final

import psycopg2
from psycopg2.extensions import cursor

__all__ = ["act_as", "objection_to_acting_as", "see_as", "settings_of"]

# The settings of `alter role … set` and `alter database … set`: they apply at sign-in, and `set role` ignores them.
# Those of the role that checks are undone first. An option of the connection precedes both, and the URL of the function
# has the same options. The function itself sets the time zone and the timeouts, and so does the check.
_SETTINGS: Final = """
with declared as (
    select
        split_part(setting, '=', 1) as name,
        substr(setting, strpos(setting, '=') + 1) as value,
        2 * (setrole <> 0)::integer + (setdatabase <> 0)::integer as rank
    from pg_db_role_setting
    cross join unnest(setconfig) as setting
    where setdatabase in (0, (select oid from pg_database where datname = current_database()))
      and setrole in (0, (select oid from pg_roles where rolname = %(role)s))
    union all
    select name, boot_val, -1 from pg_settings where source in ('user', 'database user')
),
effective as (
    select distinct on (lower(name)) name, value from declared order by lower(name), rank desc
)
select effective.name, effective.value
from effective
left join pg_settings on lower(pg_settings.name) = lower(effective.name)
where coalesce(context, 'user') = 'user'
  and coalesce(source, 'default') <> 'client'
  and lower(effective.name) <> all (array[
      'timezone', 'statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout'
  ])
"""
_ADOPT: Final = f"select set_config(name, value, true) from ({_SETTINGS}) as setting"  # noqa: S608  # both are of this file

# Of the search path, the schemas that the role may use. PostgreSQL passes over the others without a word.
_SEE: Final = """
select set_config('search_path', replace(current_setting('search_path'), '"$user"', %(role)s), true);
select set_config('search_path', coalesce(string_agg(quote_ident(name), ', ' order by at), ''), true)
from unnest(current_schemas(false)) with ordinality as part (name, at)
where has_schema_privilege(%(role)s, name, 'usage');
"""


def objection_to_acting_as(cur: cursor, role: str) -> str:
    """Return why this session cannot act as `role`, or "" if from now on it can, until its transaction ends."""
    reason = ""
    # The creator of a role is its administrator, who may make himself a member. A superuser need not.
    for admit in ("", f"grant {role} to current_user; "):
        cur.execute("savepoint acting")
        try:
            cur.execute(f"{admit}set local role {role}; reset role")
        except psycopg2.Error as error:
            cur.execute("rollback to savepoint acting")
            reason = error.diag.message_primary or str(error)
        else:
            return ""
    return reason


def settings_of(cur: cursor, role: str) -> list[tuple[str, str]]:
    """Return the settings that a session of `role` begins with, where they differ from those of this session."""
    cur.execute(_SETTINGS, {"role": role})
    return [(name, value) for name, value in cur.fetchall()]


def act_as(cur: cursor, role: str) -> None:
    """Take on the rights of `role`, up to `reset role`, and its settings, up to a rollback."""
    cur.execute(f"set local role {role}")
    cur.execute(_ADOPT, {"role": role})


def see_as(cur: cursor, role: str) -> None:
    """Let names mean what they mean to `role`, up to a rollback. The rights are still those of the session."""
    cur.execute(_ADOPT + ";" + _SEE, {"role": role})
