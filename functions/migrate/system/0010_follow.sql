-- Following: what is recorded is brought in line with what the watched names now stand for.
--   follow  is called by watch, unwatch and declare (0011_watch.sql), by the event triggers (0012_event_triggers.sql),
--           and by the invalidate function (drivers/postgres/outbox.py)
-- It calls create_recorder and record (0007_recorder.sql) and explore (0008_names.sql), and reads problems
-- (0009_recorded.sql).

-- A text that differs after each change of an object that can change an answer. Not after a change of rights,
-- statistics or storage options, nor after an index. xmin tells the version of a row of the catalogue.
create function cacheaside.version(class oid, object oid) returns text
    language sql stable
return concat_ws(
    ',', class, object,
    (
        select concat_ws(
            ' ', relnamespace, relname, relkind, relfilenode, relpersistence, relispartition, relowner, relrowsecurity,
            relforcerowsecurity,
            case when relkind = 'v' then reloptions::text end
        )
        from pg_class
        where version.class = 'pg_class'::regclass and oid = object
    ),
    (
        select string_agg(
            concat_ws(' ', attnum, attname, atttypid, atttypmod, attcollation, pg_attrdef.xmin),
            ',' order by attnum
        )
        from pg_attribute
        left join pg_attrdef on attgenerated <> '' and adrelid = attrelid and adnum = attnum
        where version.class = 'pg_class'::regclass and attrelid = object and attnum > 0 and not attisdropped
    ),
    (
        select string_agg(inhparent::text, '.' order by inhseqno) from pg_inherits
        where version.class = 'pg_class'::regclass and inhrelid = object
    ),
    (
        select string_agg(xmin::text, '.') from pg_rewrite
        where version.class = 'pg_class'::regclass and ev_class = object
    ),
    (select xmin from pg_proc where version.class = 'pg_proc'::regclass and oid = object),
    (select xmin from pg_policy where version.class = 'pg_policy'::regclass and oid = object),
    (select xmin from pg_operator where version.class = 'pg_operator'::regclass and oid = object),
    (select xmin from pg_type where version.class = 'pg_type'::regclass and oid = object),
    (
        select string_agg(xmin::text, '.' order by enumsortorder) from pg_enum
        where version.class = 'pg_type'::regclass and enumtypid = object
    )
);

-- A digest of all that answers with this tag are made from, apart from rows: the objects behind the name, and the views
-- and functions that read them. The tables that such a view reads besides have tags of their own, unless it
-- reads them only since its readers were deployed.
create function cacheaside.meaning(tag text) returns text
    language sql stable
begin atomic
    with object (class, object) as (
        select reached.class, reached.object
        from cacheaside.objects_of(meaning.tag) as named
        join cacheaside.reached on (source_class, source) = (named.class, named.object)
        union
        select class, object from cacheaside.objects_of(meaning.tag)
        union
        select reached.class, reached.object
        from cacheaside.sources
        join cacheaside.reached on source_class = sources.class and reached.identity = sources.identity
        left join pg_class on reached.class = 'pg_class'::regclass and pg_class.oid = reached.object
        where sources.tag = meaning.tag
          and (
              relkind is null or relkind = 'v' or (reached.class, reached.object) = (source_class, source)
              or cacheaside.tag(reached.object) not in (
                  select declared.tag from cacheaside.sources as declared
                  where (declared.class, declared.identity) = (sources.class, sources.identity)
                    and declared.valid_from <= now()
              )
          )
    )
    select md5(coalesce(string_agg(cacheaside.version(class, object), ' ' order by class, object), '')) from object;
end;

-- Creates and drops triggers until every table behind the names has its own, records the names that have changed their
-- meaning since the last time, and stores what cannot be recorded as the name's problem.
create function cacheaside.follow() returns void
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    set client_min_messages = warning
as $$
declare
    each record;
begin
    -- Creating a trigger alters a table. This setting stops the event triggers from following that.
    perform set_config('cacheaside.following', 'on', true);
    delete from cacheaside.unfollowed
    where ctid in (select ctid from cacheaside.unfollowed for update skip locked);
    perform cacheaside.explore();
    for each in select * from cacheaside.wanted loop
        begin
            perform cacheaside.create_triggers(each.relation, each.tags);
        exception
            when others then  -- the name has a problem then
                raise warning 'cacheaside cannot create triggers on %: %', each.relation, sqlerrm;
        end;
    end loop;
    perform cacheaside.drop_unwanted_triggers();
    for each in
        select tag, meaning as before, cacheaside.meaning(tag) as meaning, names.problem, problems.problem as now
        from cacheaside.names
        left join cacheaside.problems using (tag)
    loop
        -- While there was a problem, changes may not have been recorded.
        if each.meaning is distinct from each.before or each.problem <> coalesce(each.now, '') then
            perform cacheaside.record(each.tag);
        end if;
        if each.now <> coalesce(each.problem, '') then
            raise warning 'changes of % could go unrecorded: %', each.tag, each.now
                using hint = format('Mend it, or call cacheaside.unwatch(%L).', each.tag);
        end if;
        if (each.meaning, each.now) is distinct from (each.before, each.problem) then
            begin
                update cacheaside.names set meaning = each.meaning, problem = each.now
                where ctid in (select ctid from cacheaside.names where tag = each.tag for update skip locked);
            exception
                -- Another session has changed it, or is about to. The next call compares again.
                when serialization_failure then null;
            end;
        end if;
    end loop;
    perform set_config('cacheaside.following', 'off', true);
end
$$;
revoke execute on function cacheaside.follow from public;
grant execute on function cacheaside.follow to cacheaside_invalidate;

-- Creates the triggers that a table and its partitions lack. They fire always, so also in sessions that replicate.
-- Their names have the table's number: a restored dump of a table brings its former triggers, which must not clash with
-- those that the new table was given when it was created. changed_rows are the rows that were inserted or deleted, or
-- the old rows of an update.
create function cacheaside.create_triggers(relation regclass, tags text[]) returns void
    language plpgsql
as $$
declare
    former  constant text[] := (
        select recorders.tags from cacheaside.recorders
        where recorder = to_regprocedure(cacheaside.recorder_name(cacheaside.tag(relation)))
    );
    changed boolean := false;
    own     regprocedure;
    part    record;
begin
    if not exists (select from pg_class where oid = relation and relkind in ('r', 'p')) then
        return;
    end if;
    -- Transactions that have called the former recorder did not record the new tags: wait for them.
    if former is not null and not tags <@ former then
        execute format('lock table %s in share row exclusive mode', relation);
        changed := true;
    end if;
    own := cacheaside.create_recorder(relation, tags, (
        select tag from cacheaside.names
        where tag = cacheaside.tag(relation) and key = cacheaside.key(relation) and key_valid_from <= now()
    ));
    for part in
        select oid::regclass as name, oid::bigint as number
        from cacheaside.partitions(relation) as partition
        join pg_class on oid = partition
        where relkind in ('r', 'p')
          and not exists (
              select from cacheaside.recorded
              where recorded.part = partition and recorder = own
          )
    loop
        changed := true;
        execute format(
            'create or replace trigger cacheaside_insert_%3$s after insert on %1$s referencing new table as changed_rows
                 for each statement execute function %2$s;
             create or replace trigger cacheaside_update_%3$s after update on %1$s
                 referencing old table as changed_rows new table as updated_rows
                 for each statement execute function %2$s;
             create or replace trigger cacheaside_delete_%3$s after delete on %1$s referencing old table as changed_rows
                 for each statement execute function %2$s;
             create or replace trigger cacheaside_truncate_%3$s after truncate on %1$s
                 for each statement execute function %2$s;
             alter table only %1$s
                 enable always trigger cacheaside_insert_%3$s, enable always trigger cacheaside_update_%3$s,
                 enable always trigger cacheaside_delete_%3$s, enable always trigger cacheaside_truncate_%3$s',
            part.name, own, part.number
        );
    end loop;
    if changed then  -- what was written until now may not have been recorded
        perform cacheaside.record(tag) from unnest(tags) as tag;
    end if;
end
$$;

-- Drops the triggers of tables that stand behind no name any more, those that call the recorder of another table, and
-- those that a restored dump brought. A dump names each of its triggers twice: it creates it, then enables it. In between
-- the trigger must stay. Then drops the recorders without a table, unless a dump could bring the table back.
create function cacheaside.drop_unwanted_triggers() returns void
    language plpgsql
as $$
declare
    unwanted record;
begin
    for unwanted in
        select tgname as name, tgrelid::regclass as part
        from pg_trigger
        join cacheaside.recorders on recorder = tgfoid
        left join cacheaside.wanted on relation = coalesce(pg_partition_root(tgrelid), tgrelid)
        where wanted.tags is null
           or tgfoid is distinct from to_regprocedure(cacheaside.recorder_name(cacheaside.tag(relation)))
           or tgenabled = 'A'
              and tgname !~ ('_' || tgrelid::oid || '$')
              and (
                  select count(*) = 4 from pg_trigger as own
                  where own.tgrelid = pg_trigger.tgrelid and own.tgfoid = pg_trigger.tgfoid
                    and own.tgname ~ ('_' || own.tgrelid::oid || '$') and own.tgenabled = 'A'
              )
    loop
        begin
            execute format('drop trigger %I on %s', unwanted.name, unwanted.part);
        exception
            when others then  -- it records more than is needed
                raise warning 'cacheaside cannot drop a trigger of %: %', unwanted.part, sqlerrm;
        end;
    end loop;
    for unwanted in
        select recorder as name from cacheaside.recorders
        where recorder not in (select tgfoid from pg_trigger)
          and not exists (
              select from cacheaside.sources where recorder = to_regprocedure(cacheaside.recorder_name(tag))
          )
    loop
        execute format('drop function %s', unwanted.name);
    end loop;
end
$$;
