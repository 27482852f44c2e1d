-- Who may do what. One role for each function that serves requests, none with a password: in AWS they sign in with IAM
-- tokens, on one machine the server trusts its own. Roles belong to the whole server, so another database may have them.

do $$
declare
    name text;
begin
    foreach name in array array['cacheaside_query', 'cacheaside_command', 'cacheaside_invalidate'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I login', name);
            -- The text of a timestamp in a cached answer must not depend on a setting of the server.
            execute format('alter role %I set timezone = %L', name, 'UTC');
            -- The outbox is drained by statements that must see what others have just committed.
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

-- A guard for honest mistakes; what keeps this role from writing is that it is granted nothing but select.
alter role cacheaside_query set default_transaction_read_only = on;

grant usage on schema public to cacheaside_query, cacheaside_command;
grant usage on schema cacheaside to cacheaside_command, cacheaside_invalidate;

-- Tables of later migrations can be queried without a grant. Writing is granted table by table.
alter default privileges in schema public grant select on tables to cacheaside_query;
