-- Who changed what: each writer, whoever it is, leaves word in its own transaction of the rows and tables that it
-- changed. The command function and the invalidate function take the answers made from them out of the cache.

-- One change that one transaction made: a row, `products:42`, or more of a table than is worth listing, `products`. A
-- row that is there and drained is of another server, whose transaction had the same number: it came with a dump, or by
-- replication.
create table cacheaside.outbox (
    transaction_id xid8 not null default pg_current_xact_id(),
    change         text not null,
    written_at     timestamptz not null default clock_timestamp(),
    drained_at     timestamptz,  -- when it was taken out of the cache; kept for a while, to be done again after a failover
    primary key (transaction_id, change)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

create index outbox_pending_idx on cacheaside.outbox (written_at) where drained_at is null;
create index outbox_drained_idx on cacheaside.outbox (drained_at) where drained_at is not null;

-- Until when somebody listens. Commits that notify wait for each other, so writers notify only if it is of use.
create table cacheaside.listener (
    only_row        boolean primary key default true check (only_row),
    listening_until timestamptz not null default '-infinity'
);
insert into cacheaside.listener default values;

-- The cache that the outbox was drained into last. When its primary is another one, what was drained is done again.
create table cacheaside.cache (
    only_row        boolean primary key default true check (only_row),
    replication_ids text not null default ''
);
insert into cacheaside.cache default values;

-- Requests that were carried out, so that sending one again does not do it again.
create table cacheaside.idempotency_keys (
    key            text primary key,
    fingerprint    text not null,  -- of command, parameters and caller
    transaction_id xid8 not null default pg_current_xact_id(),
    answer         text,           -- null: there was no row
    created_at     timestamptz not null default now()
);
create index idempotency_keys_created_at_idx on cacheaside.idempotency_keys (created_at);
create index idempotency_keys_transaction_id_idx on cacheaside.idempotency_keys (transaction_id);

-- Record that anything in the table may have changed.
create function cacheaside.record(tag text) returns void
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into cacheaside.outbox (change) values (tag)
    on conflict (transaction_id, change) do update set drained_at = null where outbox.drained_at is not null;
    if exists (select from cacheaside.listener where listening_until > now()) then
        perform pg_notify('cacheaside', '');
    end if;
end
$$;
revoke execute on function cacheaside.record from public;

-- The name of a row in the outbox. A key that is missing, or would not fit into the outbox's own index, stands for the
-- whole table.
create function cacheaside.change(tag text, key text) returns text
    language sql immutable
    return case when octet_length(key) <= 512 then tag || ':' || key else tag end;

grant select, update (drained_at) on cacheaside.outbox to cacheaside_command;
grant select, insert, update (answer) on cacheaside.idempotency_keys to cacheaside_command;

grant select, insert, update (drained_at), delete on cacheaside.outbox to cacheaside_invalidate;
grant select, update (listening_until) on cacheaside.listener to cacheaside_invalidate;
grant select, update (replication_ids) on cacheaside.cache to cacheaside_invalidate;
grant select, delete on cacheaside.idempotency_keys to cacheaside_invalidate;
