-- The roles of the functions that serve requests, and their rights in the schemas. No role has a password: on AWS they
-- sign in with IAM tokens, on one machine the server trusts local connections.
-- Roles belong to the whole server, so they may exist already: another database may have made them.
-- Called by nothing, calls nothing.

do $$
declare
    name text;
begin
    foreach name in array array['cacheaside_query', 'cacheaside_command', 'cacheaside_invalidate'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I login', name);
            -- The text of a timestamp in a cached answer must not depend on a setting of the server.
            execute format('alter role %I set timezone = %L', name, 'UTC');
            -- The statements that drain the outbox must see what other transactions have just committed.
            execute format('alter role %I set default_transaction_isolation = %L', name, 'read committed');
        end if;
        -- RDS has this role, and accepts IAM tokens from its members only.
        if exists (select from pg_roles where rolname = 'rds_iam')
           and not pg_has_role(name, 'rds_iam', 'member') then
            execute format('grant rds_iam to %I', name);
        end if;
    end loop;
end
$$;

-- This only guards against honest mistakes, for a session can switch it off. The protection is that the role has no
-- right but select.
alter role cacheaside_query set default_transaction_read_only = on;

grant usage on schema public to cacheaside_query, cacheaside_command;
grant usage on schema cacheaside to cacheaside_command, cacheaside_invalidate;

-- Queries can read the tables of later migrations without a grant. Writing is granted table by table.
alter default privileges in schema public grant select on tables to cacheaside_query;
