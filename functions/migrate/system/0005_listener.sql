-- Whether writers notify. Commits that notify wait for each other, so writers notify only while a listener needs it.
-- Written by the invalidate function (drivers/postgres/outbox.py), which listens on the channel `cacheaside`.
-- Read by cacheaside.record (0007_recorder.sql), which notifies.

create table cacheaside.listener (
    only_row        boolean primary key default true check (only_row),
    listening_until timestamptz not null default '-infinity'
);
insert into cacheaside.listener default values;

grant select, update (listening_until) on cacheaside.listener to cacheaside_invalidate;
