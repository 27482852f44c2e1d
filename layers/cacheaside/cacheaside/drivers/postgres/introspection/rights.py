"""The rights that a statement needs and its role does not have, as the statements that grant them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from psycopg2.extensions import cursor

from cacheaside.catalogue_check.facts import StatementRefused
from cacheaside.drivers.postgres.introspection.expansion import Expansion

__all__ = ["missing_grants"]

_SCHEMAS: Final = """
select distinct format('grant usage on schema %%I to %%I', nspname, %(role)s::text), nspname, nspname
from pg_depend
join pg_class on pg_class.oid = refobjid
join pg_namespace on pg_namespace.oid = relnamespace
where classid = 'pg_proc'::regclass and objid = %(statement)s and refclassid = 'pg_class'::regclass
  and not has_schema_privilege(%(role)s, pg_namespace.oid, 'usage')
order by 1
"""
# A relation, a column or any column will do, as when PostgreSQL runs the statement. Column 0 stands for the whole row.
_RELATIONS: Final = """
with needed as (
    select role, relation, privilege, array(select json_array_elements_text(columns)::smallint) as columns
    from json_to_recordset(%(rights)s) as one_right (role text, relation oid, privilege text, columns json)
),
missing as (
    select role, relation, privilege, columns
    from needed
    where not case
        when has_table_privilege(role, relation, privilege) then true
        when privilege = 'DELETE' then false
        when columns = '{}' then has_any_column_privilege(role, relation, privilege)
        else (select bool_and(number > 0 and has_column_privilege(role, relation, number, privilege))
              from unnest(columns) as number)
    end
),
of_relation as (
    -- Updates are granted by column, so that a mistake in a command cannot change the others.
    select distinct role, relation, lower(privilege) || coalesce((
        select ' (' || string_agg(quote_ident(attname), ', ' order by attnum) || ')'
        from pg_attribute
        where privilege = 'UPDATE' and attrelid = relation and attnum = any (columns)
          and not has_column_privilege(role, relation, attnum, 'UPDATE')
    ), '') as granted
    from missing
)
select format('grant %%s on %%s to %%I', string_agg(granted, ', ' order by granted), relation::regclass, role),
    relation::regclass::text, nspname
from of_relation
join pg_class on pg_class.oid = relation
join pg_namespace on pg_namespace.oid = relnamespace
group by role, relation, nspname
order by 1
"""
_FUNCTIONS: Final = """
select distinct format('grant execute on function %%s to %%I', function::regprocedure, role),
    function::regprocedure::text, nspname
from json_to_recordset(%(calls)s) as call (role text, function oid)
join pg_proc on pg_proc.oid = function
join pg_namespace on pg_namespace.oid = pronamespace
where not has_function_privilege(role, function, 'execute')
order by 1
"""
# The sequences of the defaults that an insert uses, and those that the statement names as nextval('…') does. Those of
# identity columns need no right.
_SEQUENCES: Final = """
with inserted as (
    select role, relation, array(select json_array_elements_text(columns)::smallint) as columns
    from json_to_recordset(%(rights)s) as one_right (role text, relation oid, privilege text, columns json)
    where privilege = 'INSERT'
),
used as (
    select inserted.role, refobjid as sequence
    from inserted
    join pg_attrdef on adrelid = relation and (%(defaults)s or adnum <> all (columns))
    join pg_depend on classid = 'pg_attrdef'::regclass and objid = pg_attrdef.oid and refclassid = 'pg_class'::regclass
    where deptype = 'n'
    union
    select %(role)s, refobjid
    from pg_depend
    where classid = 'pg_proc'::regclass and objid = %(statement)s and refclassid = 'pg_class'::regclass
      and refobjid <> all (%(read)s::oid[])
)
select distinct format('grant usage on sequence %%s to %%I', sequence::regclass, role),
    sequence::regclass::text, nspname
from used
join pg_class on pg_class.oid = sequence
join pg_namespace on pg_namespace.oid = relnamespace
where case when relkind = 'S' then not has_sequence_privilege(role, sequence, 'usage, update') end
order by 1
"""

# What PostgreSQL keeps from ordinary roles there, such as hashes of passwords, no endpoint may show.
_SYSTEM: Final = ("pg_catalog", "information_schema", "cacheaside")


def missing_grants(cur: cursor, needed: Expansion, statement: int, role: str) -> Iterator[str]:
    """Yield the statements to put into a migration, so that `role` may run the statement.

    Raises StatementRefused if it would need rights on the system's own objects.
    `statement` is the OID of the function that holds it. Sets the search path, until the caller rolls back.
    """
    rights = json.dumps([asdict(each) | {"columns": sorted(each.columns)} for each in needed.rights])
    calls = json.dumps([{"role": caller, "function": oid} for caller, oid in needed.calls])
    values = {"role": role, "statement": statement, "rights": rights, "calls": calls}
    values |= {"defaults": needed.defaults, "read": list(needed.references)}
    cur.execute("set local search_path = public")  # what is elsewhere is printed with its schema
    for missing in (_SCHEMAS, _RELATIONS, _FUNCTIONS, _SEQUENCES):
        cur.execute(missing, values)
        for grant, name, schema in cur.fetchall():
            if schema in _SYSTEM:
                raise StatementRefused(f"the role {role} may not use {name}, which belongs to the system: leave it out")
            yield grant
