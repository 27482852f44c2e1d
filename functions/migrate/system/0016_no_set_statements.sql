-- The settings of one transaction, and the work before COMMIT, without a SET statement: RDS Proxy pins a connection that
-- sends one, also SET LOCAL and set_config. It does not look into functions (docs/decisions/0041).
--   limits         is called before each statement of a query or a command (drivers/postgres/rendering.py)
--   set_local      is called for the other settings of a command (drivers/postgres/commands.py)
--   before_commit  is called by the command function (drivers/postgres/commands.py). It calls record_unrecorded (0009)
--   take_slot      is called by loads without a lease (drivers/postgres/queries.py)
-- They act with the rights of the caller.

-- Sets what each statement needs until the transaction ends: both timeouts in ms, and the time zone of the answers. It
-- returns nothing of use. PL/pgSQL evaluates one expression without starting an executor, unlike `perform`.
create function cacheaside.limits(statement_ms integer, lock_ms integer, read_only boolean default false) returns text
    language plpgsql
as $$
begin
    return set_config('statement_timeout', statement_ms::text, true)
        || set_config('lock_timeout', lock_ms::text, true)
        || set_config('timezone', 'UTC', true)
        || case when read_only then set_config('transaction_read_only', 'on', true) end;
end
$$;

create function cacheaside.set_local(setting text, value text) returns text
    language sql
begin atomic
    select set_config(setting, value, true);
end;

-- No timeout applies to deferred constraints and triggers that run during COMMIT, so they run here. After them, the
-- command itself records what it changed behind a watched name whose table has no triggers yet.
create function cacheaside.before_commit() returns void
    language plpgsql
as $$
begin
    set constraints all immediate;
    perform cacheaside.record_unrecorded();
end
$$;

-- Takes one of the first `at_most` slots, or raises OVRLD. Each search starts at a random slot, so that not all searches
-- begin at the first. The lock ends with the transaction, so the slot is released however the load ends. The first key
-- of the lock is "cach", the second one is the slot. Other users of advisory locks choose other keys.
create function cacheaside.take_slot(at_most integer) returns void
    language plpgsql
as $$
declare
    start constant integer := floor(random() * at_most);
begin
    for step in 0..at_most - 1 loop
        if pg_try_advisory_xact_lock(x'63616368'::integer, mod(start + step, at_most)) then
            return;
        end if;
    end loop;
    raise sqlstate 'OVRLD' using message = 'as many loads without a lease as may run at once are running';
end
$$;

revoke execute on function
    cacheaside.limits, cacheaside.set_local, cacheaside.before_commit, cacheaside.take_slot
from public;
grant execute on function cacheaside.limits to cacheaside_query, cacheaside_command;
grant execute on function cacheaside.set_local, cacheaside.before_commit to cacheaside_command;
grant execute on function cacheaside.take_slot to cacheaside_query;
