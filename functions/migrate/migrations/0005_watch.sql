-- Which tables are watched: for those, triggers append to the outbox whatever a statement has changed.

-- The tag of a table: its name, with its schema if that is not public. The parts of a partitioned table have its tag.
create function cacheaside.tag(relation regclass) returns text
    language sql stable
begin atomic
    select case when nspname = 'public' then relname else nspname || '.' || relname end
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = coalesce(pg_partition_root(relation), relation);
end;

-- A table, and whatever else a query of it reads: its partitions, and theirs, or what inherits from it.
create function cacheaside.parts(relation regclass) returns setof regclass
    language sql stable
begin atomic
    with recursive parts (part) as (
        select relation
        union
        select inhrelid::regclass from pg_inherits join parts on inhparent = part
    )
    select part from parts;
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
                -- As a timestamp without time zone, or it would depend on the writer's.
                when atttypid = 'date'::regtype then format('to_char(%I::timestamp, %L)', attname, 'YYYY-MM-DD')
                -- Not by a cast, which the owner of the type could redefine.
                when typtype = 'e' then format('enum_out(%I)::text', attname)
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

-- The functions that triggers of watched tables call, each with the tag that it writes.
create view cacheaside.recorders as
select oid::regprocedure as recorder, obj_description(oid, 'pg_proc') as tag
from pg_proc
where pronamespace = 'cacheaside'::regnamespace
  and proname ~ '^record_[0-9]+$';

create sequence cacheaside.recorder_number;

-- Whether every change of this very table, partition or not, goes through this function, in any session. A crash empties
-- an unlogged table, and the initial copy of a subscription fills one, without a trigger.
create function cacheaside.is_recorded(part regclass, recorder regprocedure) returns boolean
    language sql stable
begin atomic
    select
        (select count(*) = 4 from pg_trigger where tgrelid = part and tgfoid = recorder and tgenabled = 'A')
        and (select relpersistence = 'p' from pg_class where oid = part)
        and not exists (select from pg_subscription_rel where srrelid = part);
end;

-- What is watched. Incomplete: there is a change that would go unseen, or be recorded under a name that is no longer
-- the table's. To watch it again puts that right.
create view cacheaside.watched as
select
    relation,
    tag,
    recorder,
    tag = cacheaside.tag(relation)
        and (select bool_and(cacheaside.is_recorded(part, recorder)) from cacheaside.parts(relation) as part) as complete
from (
    select distinct coalesce(pg_partition_root(tgrelid), tgrelid)::regclass as relation, tag, recorder
    from pg_trigger
    join cacheaside.recorders on recorder = tgfoid
) as recorded;

-- Have every change of a table recorded, or of all parts of a partitioned one. Can be repeated, and should be where no
-- event trigger does it (0006_follow_schema.sql): after a new partition, another primary key, another name.
create function cacheaside.watch(relation regclass) returns text
    language plpgsql
as $$
declare
    current_tag constant text := cacheaside.tag(relation);
    former_tag  text;
    its_own     regprocedure;  -- recorder
    part        regclass;
begin
    perform cacheaside.refuse_unwatchable(relation);
    -- To enable a trigger is to alter its table, which event triggers follow: not again for each partition.
    perform set_config('cacheaside.watching', 'on', true);
    -- One at a time. Readers and writers need not wait; only a part that lacks triggers has to let its writers finish.
    execute format('lock table only %s in share update exclusive mode', relation);
    -- A partition that was detached still calls the function of the table that it left.
    select known.recorder, known.tag from cacheaside.watched as known
    where known.relation = watch.relation
      and (known.tag = current_tag or not exists (
          select from cacheaside.watched as other
          where other.recorder = known.recorder and other.relation <> known.relation
      ))
    limit 1 into its_own, former_tag;
    its_own := cacheaside.write_recorder(relation, its_own);
    for part in select cacheaside.parts(relation) loop
        if not cacheaside.is_recorded(part, its_own) then
            perform cacheaside.put_triggers_on(part, its_own);
        end if;
    end loop;
    perform cacheaside.take_triggers_off(detached.relation) from cacheaside.watched as detached
    where detached.recorder = its_own and detached.relation <> watch.relation;
    perform cacheaside.drop_unused_recorders();
    -- Nobody recorded what happened to it before.
    perform cacheaside.record(tag) from unnest(array[current_tag, former_tag]) as tag where tag is not null;
    perform set_config('cacheaside.watching', 'off', true);
    return current_tag;
end
$$;

-- Leave a table alone again. Answers made from it then live as long as their ttl says.
create function cacheaside.unwatch(relation regclass) returns void
    language plpgsql
    set client_min_messages = warning  -- the list of triggers that go with their function is of no interest
as $$
declare
    root constant regclass := pg_partition_root(relation);
    used regprocedure;
begin
    if root <> relation and exists (select from cacheaside.watched where watched.relation = root) then
        raise 'cannot unwatch %: it is a partition', relation using hint = format('Unwatch %s.', root);
    end if;
    for used in select recorder from cacheaside.watched where watched.relation = unwatch.relation loop
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
    select relkind, relispartition, relname, nspname from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = relation into strict found;
    if found.relispartition then
        raise 'cannot watch %: it is a partition', relation
            using hint = format('Watch %s, and with it all of its partitions.', pg_partition_root(relation));
    elsif found.relkind = 'v' then
        raise 'cannot watch %: it is a view', relation using hint = 'Watch the tables that it reads.';
    elsif found.relkind = 'm' then
        raise 'cannot watch %: it is a materialized view', relation
            using hint = 'Nothing need be done: its REFRESH is recorded by the event trigger cacheaside_follow_schema.';
    elsif exists (
        select from cacheaside.parts(relation) as part join pg_class on oid = part where relkind not in ('r', 'p')
    ) then
        raise 'cannot watch %: its rows, or some of them, are kept elsewhere, and change there', relation;
    elsif exists (
        select from cacheaside.parts(relation) as part join pg_class on oid = part where relpersistence <> 'p'
    ) then
        raise 'cannot watch %: it is not a permanent table, and may lose its rows without a trace', relation;
    elsif found.relkind = 'r' and exists (select from pg_inherits where relation in (inhrelid, inhparent)) then
        raise 'cannot watch %: it inherits, or is inherited from', relation
            using hint = 'Partitioned tables can be watched.';
    elsif exists (select from cacheaside.parts(relation) as part join pg_subscription_rel on srrelid = part) then
        raise 'cannot watch %: a subscription writes to it, which fires no such triggers', relation
            using hint = 'Watch it where it is published, or give its answers a short ttl.';
    elsif found.nspname in ('cacheaside', 'pg_catalog', 'information_schema') then
        raise 'cannot watch %: it is not a table of yours', relation;
    elsif found.relname !~ '^[a-z_][a-z0-9_$]*$' or found.nspname !~ '^[a-z_][a-z0-9_$]*$' then
        raise 'cannot watch %: a tag has lower-case letters, digits, _ and $', relation;
    end if;
end
$$;

-- The four triggers of a table or partition. They are always on, so in sessions that replicate, too.
create function cacheaside.put_triggers_on(part regclass, recorder regprocedure) returns void
    language plpgsql
as $$
begin
    execute format(
        'create or replace trigger cacheaside_insert after insert on %1$s referencing new table as new_rows
             for each statement execute function %2$s;
         create or replace trigger cacheaside_update after update on %1$s
             referencing old table as old_rows new table as new_rows
             for each statement execute function %2$s;
         create or replace trigger cacheaside_delete after delete on %1$s referencing old table as old_rows
             for each statement execute function %2$s;
         create or replace trigger cacheaside_truncate after truncate on %1$s
             for each statement execute function %2$s;
         alter table only %1$s
             enable always trigger cacheaside_insert, enable always trigger cacheaside_update,
             enable always trigger cacheaside_delete, enable always trigger cacheaside_truncate',
        part, recorder
    );
end
$$;

create function cacheaside.take_triggers_off(relation regclass) returns void
    language plpgsql
as $$
declare
    part regclass;
begin
    for part in select cacheaside.parts(relation) loop
        execute format(
            'drop trigger if exists cacheaside_insert on %1$s; drop trigger if exists cacheaside_update on %1$s;
             drop trigger if exists cacheaside_delete on %1$s; drop trigger if exists cacheaside_truncate on %1$s',
            part
        );
    end loop;
end
$$;

-- What is left when a table was dropped, or became a partition of one that is watched. Nobody else will tell that the
-- answers made from it are old.
create function cacheaside.drop_unused_recorders() returns void
    language plpgsql
as $$
declare
    unused cacheaside.recorders;
begin
    for unused in select * from cacheaside.recorders where recorder not in (select tgfoid from pg_trigger) loop
        perform cacheaside.record(unused.tag);
        execute format('drop function %s', unused.recorder);
    end loop;
end
$$;

-- Write the function that a table's triggers call, or write it again. It is written for the table, because a function
-- that found out the key for itself would be planned anew for every statement, and take twice as long (docs/decisions/0009).
create function cacheaside.write_recorder(relation regclass, known regprocedure) returns regprocedure
    language plpgsql
    set search_path = pg_catalog, pg_temp  -- so that the names of types are written in full
as $body$
declare
    tag      constant text := cacheaside.tag(relation);
    recorder constant text := coalesce(
        known::text, format('cacheaside.record_%s()', nextval('cacheaside.recorder_number'))
    );
    key      text;  -- an expression: the text of a row's key
    columns  text;  -- its columns, with their types
    number   integer;
    source   text;
begin
    select
        count(*),
        string_agg(expression, ' || '','' || ' order by key_columns.number),
        string_agg(format('(%L, to_regtype(%L))', name, type), ', ')
    from cacheaside.key_columns(relation) into number, key, columns;
    source := format(
        $source$
#variable_conflict use_column
<<recorder>>
declare
    tag     constant text := %1$L;
    -- More rows than this are not worth listing: nearly every answer is made from one of them.
    at_most constant integer := 100;
    -- Where no event trigger follows the schema, a key that has changed since must not fail its writers.
    by_row  constant boolean := %2$s > 0 and %2$s = (
        select count(*) from pg_attribute where attrelid = tg_relid and (attname, atttypid) in (%3$s)
    );
    changed integer := at_most + 1;
begin
    if tg_op in ('INSERT', 'UPDATE') then
        select count(*) from (select from new_rows limit recorder.at_most + 1) as counted into changed;
    elsif tg_op = 'DELETE' then
        select count(*) from (select from old_rows limit recorder.at_most + 1) as counted into changed;
    end if;
    if changed = 0 then
        return null;
    elsif changed > at_most or not by_row then
        insert into cacheaside.outbox (change) values (recorder.tag)
        on conflict (transaction_id, change) do update set drained_at = null where outbox.drained_at is not null;
    elsif tg_op = 'INSERT' then
        insert into cacheaside.outbox (change)
        select distinct cacheaside.change(recorder.tag, %4$s) from new_rows
        on conflict (transaction_id, change) do update set drained_at = null where outbox.drained_at is not null;
    elsif tg_op = 'DELETE' then
        insert into cacheaside.outbox (change)
        select distinct cacheaside.change(recorder.tag, %4$s) from old_rows
        on conflict (transaction_id, change) do update set drained_at = null where outbox.drained_at is not null;
    else  -- a row whose key has changed is two: the old one is gone, the new one has come
        insert into cacheaside.outbox (change)
        select cacheaside.change(recorder.tag, %4$s) from old_rows
        union
        select cacheaside.change(recorder.tag, %4$s) from new_rows
        on conflict (transaction_id, change) do update set drained_at = null where outbox.drained_at is not null;
    end if;
    if exists (select from cacheaside.listener where listening_until > now()) then
        perform pg_notify('cacheaside', '');
    end if;
    return null;
end
$source$,
        tag, number, coalesce(columns, '(null, null)'), coalesce(key, 'null::text')
    );
    execute format(
        'create or replace function %s returns trigger
             language plpgsql security definer
             set search_path = pg_catalog, pg_temp
         as %L',
        recorder, source
    );
    execute format('comment on function %s is %L', recorder, tag);
    execute format('revoke execute on function %s from public', recorder);
    return recorder::regprocedure;
end
$body$;
