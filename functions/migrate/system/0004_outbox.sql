-- The outbox: the changes that triggers recorded, each in the transaction that made it.
-- Written by cacheaside.record (0007_recorder.sql). Drained by the command function, which marks its own changes
-- (drivers/postgres/commands.py), and by the invalidate function, which drains all, replays, folds and prunes
-- (drivers/postgres/outbox.py).

-- One change that one transaction made: a row, `products:42`, or a whole table, `products`, if too many rows changed.
-- A transaction may find its number here already, on a row that was drained: such a row is of another server and came
-- with a dump or by replication.
create table cacheaside.outbox (
    transaction_id xid8 not null default pg_current_xact_id(),
    change         text not null,
    written_at     timestamptz not null default clock_timestamp(),
    drained_at     timestamptz,  -- when its tag was invalidated; kept for a while, for a replay after a failover
    primary key (transaction_id, change)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

create index outbox_pending_idx on cacheaside.outbox (written_at) where drained_at is null;
create index outbox_drained_idx on cacheaside.outbox (drained_at) where drained_at is not null;

grant select, update (drained_at) on cacheaside.outbox to cacheaside_command;
grant select, insert, update (drained_at), delete on cacheaside.outbox to cacheaside_invalidate;

-- The replication ids of the cache that the outbox was last drained into. Other ids mean a failover: then the rows that
-- were drained are drained again.
create table cacheaside.cache (
    only_row        boolean primary key default true check (only_row),
    replication_ids text not null default ''
);
insert into cacheaside.cache default values;

grant select, update (replication_ids) on cacheaside.cache to cacheaside_invalidate;
