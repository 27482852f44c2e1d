-- Who changed what: each writer, whoever it is, leaves word in its own transaction of the rows and tables that it
-- changed. The command function and the invalidate function take the answers made from them out of the cache.

-- One change that one transaction made: a row, `products:42`, or more of a table than is worth listing, `products`.
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

-- ---------------------------------------------------------------------------------------------------- what is watched

-- The tag of a table: its name, with its schema if that is not public. The parts of a partitioned table have its tag.
create function cacheaside.tag(relation regclass) returns text
    language sql stable
begin atomic
    select case when nspname = 'public' then relname else nspname || '.' || relname end
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = coalesce(pg_partition_root(relation), relation);
end;

-- The columns of a table's primary key, in its order, if rows can be named by them: only types whose text is one and
-- the same for equal values. Two numerics that are equal may be written 1.5 and 1.50. No row: its rows have no tags.
create function cacheaside.key_columns(relation regclass)
    returns table (number bigint, name text, type regtype, expression text)
    language sql stable
begin atomic
    with key as (
        select
            numbered.number,
            attname::text as name,
            atttypid::regtype as type,
            case
                when atttypid = any (array['smallint', 'integer', 'bigint', 'uuid', 'boolean']::regtype[])
                    then format('%I::text', attname)
                when atttypid = any (array['text', 'varchar']::regtype[]) and collisdeterministic
                    then format('%I::text', attname)
                when atttypid = 'date'::regtype then format('to_char(%I, %L)', attname, 'YYYY-MM-DD')
                when typtype = 'e' then format('%I::text', attname)
            end as expression
        from pg_index
        cross join unnest(indkey::smallint[]) with ordinality as numbered (attnum, number)
        join pg_attribute on attrelid = indrelid and pg_attribute.attnum = numbered.attnum
        join pg_type on pg_type.oid = atttypid
        left join pg_collation on pg_collation.oid = attcollation
        where indrelid = relation
          and indisprimary
          and numbered.number <= indnkeyatts
    )
    select key.number, key.name, key.type, key.expression
    from key
    where (select bool_and(every_column.expression is not null) from key as every_column)
    order by key.number;
end;

-- What is watched, one row per table or partition, with the tag that its triggers write and whether all four are on.
create view cacheaside.watched as
select
    tgrelid::regclass as relation,
    min(left(encode(tgargs, 'escape'), -4)) as tag,  -- each argument ends with \000
    min(tgfoid)::regprocedure as recorder,
    count(*) filter (where tgenabled = 'A') = 4 as complete
from pg_trigger
join pg_proc on pg_proc.oid = tgfoid
where pronamespace = 'cacheaside'::regnamespace
  and proname ~ '^record_[0-9]+$'
  and not tgisinternal
group by tgrelid;

create sequence cacheaside.recorder_number;

-- Have every change of a table recorded, or of all parts of a partitioned one. Can be repeated, and should be where no
-- event trigger does it (see the end of this file): after a new partition, another primary key, another name.
create function cacheaside.watch(relation regclass) returns text
    language plpgsql
as $$
declare
    tag      constant text := cacheaside.tag(relation);
    recorder constant text := format('cacheaside.record_%s', nextval('cacheaside.recorder_number'));
    part     regclass;
begin
    perform cacheaside.refuse_unwatchable(relation);
    perform set_config('cacheaside.watching', 'on', true);
    perform cacheaside.unwatch(relation);
    execute cacheaside.recorder_source(relation, recorder);
    execute format('revoke execute on function %s from public', recorder);
    for part in select relation union select relid from pg_partition_tree(relation) loop
        execute format(
            'create trigger cacheaside_insert after insert on %1$s referencing new table as new_rows
                 for each statement execute function %2$s(%3$L);
             create trigger cacheaside_update after update on %1$s referencing old table as old_rows new table as new_rows
                 for each statement execute function %2$s(%3$L);
             create trigger cacheaside_delete after delete on %1$s referencing old table as old_rows
                 for each statement execute function %2$s(%3$L);
             create trigger cacheaside_truncate after truncate on %1$s
                 for each statement execute function %2$s(%3$L);
             alter table only %1$s
                 enable always trigger cacheaside_insert, enable always trigger cacheaside_update,
                 enable always trigger cacheaside_delete, enable always trigger cacheaside_truncate',
            part, recorder, tag
        );
    end loop;
    -- Nobody recorded what happened to it before.
    perform cacheaside.record(tag);
    perform set_config('cacheaside.watching', 'off', true);
    return tag;
end
$$;

-- Leave a table alone again. Answers made from it then live as long as their ttl says.
create function cacheaside.unwatch(relation regclass) returns void
    language plpgsql
    set client_min_messages = warning  -- the list of triggers that go with their function is of no interest
as $$
declare
    used regprocedure;
begin
    for used in select distinct recorder from cacheaside.watched
                where watched.relation = unwatch.relation
                   or watched.relation in (select relid from pg_partition_tree(unwatch.relation)) loop
        -- With its triggers, also those on parts that have been detached since.
        execute format('drop function %s cascade', used);
    end loop;
end
$$;

create function cacheaside.refuse_unwatchable(relation regclass) returns void
    language plpgsql
as $$
declare
    found record;
begin
    select relkind, relpersistence, relispartition, relname, nspname from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = relation into found;
    if found.relispartition then
        raise 'cannot watch %: it is a partition', relation
            using hint = format('Watch %s, and with it all of its partitions.', pg_partition_root(relation));
    elsif found.relkind = 'v' then
        raise 'cannot watch %: it is a view', relation using hint = 'Watch the tables that it reads.';
    elsif found.relkind = 'm' then
        raise 'cannot watch %: it is a materialized view', relation
            using hint = 'Nothing need be done: its REFRESH is recorded by the event trigger cacheaside_follow_schema.';
    elsif found.relkind not in ('r', 'p') or exists (
        select from pg_partition_tree(relation) join pg_class on oid = relid where relkind not in ('r', 'p')
    ) then
        raise 'cannot watch %: its rows, or some of them, are kept elsewhere, and change there', relation;
    elsif found.relpersistence <> 'p' then
        raise 'cannot watch %: it is not a permanent table, and may lose its rows without a trace', relation;
    elsif found.relkind = 'r' and exists (select from pg_inherits where relation in (inhrelid, inhparent)) then
        raise 'cannot watch %: it inherits, or is inherited from', relation
            using hint = 'Partitioned tables can be watched.';
    elsif exists (select from pg_subscription_rel where srrelid = relation) then
        raise 'cannot watch %: a subscription writes to it, which fires no such triggers', relation
            using hint = 'Watch it where it is published, or give its answers a short ttl.';
    elsif found.relname !~ '^[a-z_][a-z0-9_$]*$' or found.nspname !~ '^[a-z_][a-z0-9_$]*$' then
        raise 'cannot watch %: a tag has lower-case letters, digits, _ and $', relation;
    elsif found.nspname in ('cacheaside', 'pg_catalog', 'information_schema') then
        raise 'cannot watch %: it is not a table of yours', relation;
    end if;
end
$$;

-- Record that anything in the table may have changed.
create function cacheaside.record(tag text) returns void
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    insert into cacheaside.outbox (change) values (tag) on conflict do nothing;
    if exists (select from cacheaside.listener where listening_until > now()) then
        perform pg_notify('cacheaside', '');
    end if;
end
$$;
revoke execute on function cacheaside.record from public;

-- The source of a table's trigger function. It is written for the table, because a function that found out the key for
-- itself would be planned anew for every statement, and take seven times as long (docs/benchmarks.md).
create function cacheaside.recorder_source(relation regclass, recorder text) returns text
    language plpgsql stable
as $body$
declare
    key   text;  -- an expression: the text of a row's key
    names text;  -- of its columns
begin
    select string_agg(expression, ' || '','' || ' order by number), string_agg(quote_literal(name), ', ')
    from cacheaside.key_columns(relation) into key, names;
    return format(
        $source$
create function %1$s() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<recorder>>
declare
    tag     constant text := tg_argv[0];
    -- More rows than this are not worth listing: nearly every answer is made from one of them.
    at_most constant integer := 100;
    -- A key that was renamed since must not fail its writers.
    by_row  constant boolean := %2$s = (
        select count(*) from pg_attribute where attrelid = tg_relid and attname in (%3$s) and not attisdropped
    );
    changed integer := at_most + 1;
begin
    if tg_op in ('INSERT', 'UPDATE') then
        select count(*) from (select from new_rows limit at_most + 1) as counted into changed;
    elsif tg_op = 'DELETE' then
        select count(*) from (select from old_rows limit at_most + 1) as counted into changed;
    end if;
    if changed = 0 then
        return null;
    elsif changed > at_most or not by_row then
        insert into cacheaside.outbox (change) values (recorder.tag) on conflict do nothing;
    elsif tg_op = 'INSERT' then
        insert into cacheaside.outbox (change)
        select cacheaside.change(recorder.tag, %4$s) from new_rows on conflict do nothing;
    elsif tg_op = 'DELETE' then
        insert into cacheaside.outbox (change)
        select cacheaside.change(recorder.tag, %4$s) from old_rows on conflict do nothing;
    else  -- a row whose key has changed is two: the old one is gone, the new one has come
        insert into cacheaside.outbox (change)
        select cacheaside.change(recorder.tag, %4$s) from old_rows
        union
        select cacheaside.change(recorder.tag, %4$s) from new_rows on conflict do nothing;
    end if;
    if exists (select from cacheaside.listener where listening_until > now()) then
        perform pg_notify('cacheaside', '');
    end if;
    return null;
end
$$
$source$,
        recorder,
        (select coalesce(nullif(count(*), 0), -1) from cacheaside.key_columns(relation)),
        coalesce(names, ''''''),
        coalesce(key, 'null::text')
    );
end
$body$;

-- The name of a row in the outbox. A key that would not fit into the outbox's own index stands for the whole table.
create function cacheaside.change(tag text, key text) returns text
    language sql immutable
    return case when octet_length(key) <= 512 then tag || ':' || key else tag end;

-- ------------------------------------------------------------------------- changes that no trigger of a table can see

-- Keeps the triggers in step with a table that is altered or gets a partition, and records that its contents may have
-- changed by that, as those of a materialized view have by its refresh. Never fails anyone's statement.
create function cacheaside.follow_schema() returns event_trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    altered regclass;
begin
    if current_setting('cacheaside.watching', true) = 'on' then
        return;
    end if;
    for altered in
        select distinct coalesce(pg_partition_root(objid), objid)::regclass
        from pg_event_trigger_ddl_commands()
        where classid = 'pg_class'::regclass
    loop
        if tg_tag = 'REFRESH MATERIALIZED VIEW' then
            perform cacheaside.record(cacheaside.tag(altered));
        elsif exists (select from cacheaside.watched where relation = altered) then
            perform cacheaside.watch(altered);
        end if;
    end loop;
exception
    when others then
        raise warning 'cacheaside could not follow this change: %', sqlerrm
            using hint = 'Call cacheaside.watch for the table.';
end
$$;

-- A partition that was dropped takes its rows with it, and does not say whose they were.
create function cacheaside.follow_drop() returns event_trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform cacheaside.record(tag)
    from cacheaside.watched join pg_class on oid = relation
    where relkind = 'p' and not relispartition;
exception
    when others then
        raise warning 'cacheaside could not follow this change: %', sqlerrm;
end
$$;

do $$
begin
    create event trigger cacheaside_follow_schema on ddl_command_end
        when tag in ('ALTER TABLE', 'CREATE TABLE', 'REFRESH MATERIALIZED VIEW')
        execute function cacheaside.follow_schema();
    create event trigger cacheaside_follow_drop on sql_drop
        when tag in ('DROP TABLE')
        execute function cacheaside.follow_drop();
exception
    when insufficient_privilege then
        raise notice 'no event triggers: call cacheaside.watch again after altering a table that is watched';
end
$$;

-- -------------------------------------------------------------------------------------------------------- who may what

grant usage on schema cacheaside to cacheaside_query;
grant select, update (drained_at) on cacheaside.outbox to cacheaside_command;
grant select, insert, update (answer) on cacheaside.idempotency_keys to cacheaside_command;

grant select, insert, update (drained_at), delete on cacheaside.outbox to cacheaside_invalidate;
grant select, update (listening_until) on cacheaside.listener to cacheaside_invalidate;
grant select, update (replication_ids) on cacheaside.cache to cacheaside_invalidate;
grant select, delete on cacheaside.idempotency_keys to cacheaside_invalidate;
