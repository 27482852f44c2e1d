-- The roles of the functions that serve requests, and their rights in the schemas. No role has a password: on AWS they
-- sign in with IAM tokens, on one machine the server trusts local connections.
-- Roles belong to the whole server, so they may exist already: another database or an administrator may have made them.
-- Each statement runs only where its effect is missing, so that an owner who may not run it needs it only once.
-- Called by nothing, calls nothing.

do $$
declare
    missing   text[];
    statement text;
begin
    with role (name, number) as (
        select name, pg_roles.oid
        from unnest(array['cacheaside_query', 'cacheaside_command', 'cacheaside_invalidate']) as name
        left join pg_roles on rolname = name
    ),
    setting (name, value, only_of) as (
        values
            -- The text of a timestamp in a cached answer must not depend on a setting of the server.
            ('timezone', 'UTC', null),
            -- The statements that drain the outbox must see what other transactions have just committed.
            ('default_transaction_isolation', 'read committed', null),
            -- This only guards against honest mistakes, for a session can switch it off. The protection is that the
            -- role has no right but select.
            ('default_transaction_read_only', 'on', 'cacheaside_query')
    ),
    step (rank, statement, is_missing) as (
        select 1, format('create role %I login', name), number is null from role
        union all
        select 2, format('alter role %I set %I = %L', role.name, setting.name, setting.value), not exists (
            select from pg_db_role_setting
            cross join unnest(setconfig) as configured
            where setrole = number and setdatabase = 0 and lower(split_part(configured, '=', 1)) = setting.name
              and (only_of is null or configured = format('%s=%s', setting.name, setting.value))
        )
        from role join setting on coalesce(only_of, role.name) = role.name
        union all
        -- The schema may be missing, and its usage may be everyone's.
        select 3, format('grant usage on schema public to %I', role.name), not has_schema_privilege(
            coalesce(pg_roles.rolname, 'public'), pg_namespace.oid, 'usage'
        )
        from role
        left join pg_roles on pg_roles.oid = number
        join pg_namespace on nspname = 'public'
        where role.name <> 'cacheaside_invalidate'
    )
    select coalesce(array_agg(step.statement order by rank, step.statement), '{}') into missing from step where is_missing;
    foreach statement in array missing loop
        execute statement;
    end loop;
exception
    -- `cacheaside init` runs this block in a read-only transaction, to learn what is missing.
    when insufficient_privilege or read_only_sql_transaction then
        raise insufficient_privilege using
            message = format('%I cannot make the roles of cacheaside what they must be: %s', current_user, sqlerrm),
            hint = 'A superuser, on RDS the master user, must run: ' || array_to_string(missing, '; ');
end
$$;

grant usage on schema cacheaside to cacheaside_command, cacheaside_invalidate;

-- Queries can read the tables of later migrations without a grant. Writing is granted table by table.
do $$
begin
    if to_regnamespace('public') is not null then
        alter default privileges in schema public grant select on tables to cacheaside_query;
    end if;
end
$$;
