-- Watching: creating the triggers of a table, and dropping them again.
--   watch                  is called by migrations, by the owner, and by follow_schema (0010_follow_schema.sql)
--   unwatch                is called by the owner
--   drop_unused_recorders  is called by watch, and by follow_drop (0010_follow_schema.sql)
--   watched                is read by follow_schema and by the check of the tags (drivers/postgres/introspection/)
-- They call tag and parts (0006_tags.sql), create_recorder and record (0007_recorder.sql), and refuse_unwatchable
-- (0008_watchable.sql).

-- Whether this recorder sees every change of this very table, partition or not, in any session. No trigger fires when a
-- crash empties an unlogged table, nor when the initial copy of a subscription fills one.
create function cacheaside.is_recorded(part regclass, recorder regprocedure) returns boolean
    language sql stable
begin atomic
    select
        (select count(*) = 4 from pg_trigger where tgrelid = part and tgfoid = recorder and tgenabled = 'A')
        and (select relpersistence = 'p' from pg_class where oid = part)
        and not exists (select from pg_subscription_rel where srrelid = part);
end;

-- The tables that are watched. `complete` is false if a change could go unrecorded, or be recorded under a former name
-- of the table: then watch has to be called again.
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

-- Has every change of a table recorded, with those of its partitions, and returns the tag. Where no event trigger
-- follows the schema, call it again for a new partition, another primary key or another name.
create function cacheaside.watch(relation regclass) returns text
    language plpgsql
as $$
declare
    current_tag  constant text := cacheaside.tag(relation);
    former_tag   text;
    own_recorder regprocedure;
    part         regclass;
begin
    perform cacheaside.refuse_unwatchable(relation);
    -- Enabling a trigger is an ALTER TABLE. This setting stops follow_schema from calling watch for each of them.
    perform set_config('cacheaside.watching', 'on', true);
    -- One session at a time. Readers and writers need not wait, but a part without triggers waits for its writers.
    execute format('lock table only %s in share update exclusive mode', relation);
    -- The recorder that the table has already. A detached partition has the one of its former table, which stays there.
    select known.recorder, known.tag from cacheaside.watched as known
    where known.relation = watch.relation
      and (known.tag = current_tag or not exists (
          select from cacheaside.watched as other
          where other.recorder = known.recorder and other.relation <> known.relation
      ))
    limit 1 into own_recorder, former_tag;
    own_recorder := cacheaside.create_recorder(relation, own_recorder);
    for part in select cacheaside.parts(relation) loop
        if not cacheaside.is_recorded(part, own_recorder) then
            perform cacheaside.create_triggers(part, own_recorder);
        end if;
    end loop;
    perform cacheaside.drop_triggers(detached.relation) from cacheaside.watched as detached
    where detached.recorder = own_recorder and detached.relation <> watch.relation;
    perform cacheaside.drop_unused_recorders();
    -- Earlier changes of the table were not recorded.
    perform cacheaside.record(tag) from unnest(array[current_tag, former_tag]) as tag where tag is not null;
    perform set_config('cacheaside.watching', 'off', true);
    return current_tag;
end
$$;

-- Stops recording the changes of a table. Answers made from it then live as long as their ttl says.
create function cacheaside.unwatch(relation regclass) returns void
    language plpgsql
    set client_min_messages = warning  -- no notice for each trigger that is dropped with its function
as $$
declare
    root constant regclass := pg_partition_root(relation);
    used regprocedure;
begin
    if root <> relation and exists (select from cacheaside.watched where watched.relation = root) then
        raise 'cannot unwatch %: it is a partition', relation using hint = format('Unwatch %s.', root);
    end if;
    for used in select recorder from cacheaside.watched where watched.relation = unwatch.relation loop
        -- This drops its triggers too, also those on parts that have been detached since.
        execute format('drop function %s cascade', used);
    end loop;
end
$$;

-- Creates the four triggers of a table or partition. They fire always, so also in sessions that replicate.
-- changed_rows are the rows that were inserted or deleted, or the old rows of an update.
create function cacheaside.create_triggers(part regclass, recorder regprocedure) returns void
    language plpgsql
as $$
begin
    execute format(
        'create or replace trigger cacheaside_insert after insert on %1$s referencing new table as changed_rows
             for each statement execute function %2$s;
         create or replace trigger cacheaside_update after update on %1$s
             referencing old table as changed_rows new table as updated_rows
             for each statement execute function %2$s;
         create or replace trigger cacheaside_delete after delete on %1$s referencing old table as changed_rows
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

create function cacheaside.drop_triggers(relation regclass) returns void
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

-- Drops the recorders of tables that were dropped or became partitions of another watched table, and records that the
-- answers made from those tables are out of date: no other trigger does.
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
