-- Requests that were carried out, so that a request that is sent again is not carried out again.
-- Written by the command function (drivers/postgres/commands.py), pruned by the invalidate function
-- (drivers/postgres/outbox.py).

create table cacheaside.idempotency_keys (
    key            text primary key,
    fingerprint    text not null,  -- of command, parameters and caller
    transaction_id xid8 not null default pg_current_xact_id(),
    answer         text,           -- null: the command returned no row
    created_at     timestamptz not null default now()
);
create index idempotency_keys_created_at_idx on cacheaside.idempotency_keys (created_at);
create index idempotency_keys_transaction_id_idx on cacheaside.idempotency_keys (transaction_id);

grant select, insert, update (answer) on cacheaside.idempotency_keys to cacheaside_command;
grant select, delete on cacheaside.idempotency_keys to cacheaside_invalidate;
