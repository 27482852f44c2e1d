-- Changes that fire no trigger of a table: of the schema, of partitions, of materialized views.
-- PostgreSQL calls follow_schema and follow_drop after such statements, through event triggers. They call record
-- (0007_recorder.sql) and follow (0010_follow.sql).
-- Event triggers can be created by a superuser only, on RDS by rds_superuser. Without them, only sweeps follow.

-- Whether an object has to do with a watched name: it takes the name or is known by its own, or it reads, or is a part
-- of, something behind a name.
create function cacheaside.is_relevant(class oid, object oid, identity text) returns boolean
    language sql stable
begin atomic
    select is_relevant.class = 'pg_namespace'::regclass
        or exists (
            select from cacheaside.sources
            where (sources.class, sources.identity) = (is_relevant.class, is_relevant.identity)
        )
        or is_relevant.class = 'pg_class'::regclass
           and exists (
               select from cacheaside.names
               where tag = cacheaside.tag(is_relevant.object)
                  or is_relevant.object in (select cacheaside.relations_of(tag))
           )
        -- After a dump was restored, reached has the numbers of another database.
        or is_relevant.class = 'pg_class'::regclass
           and exists (
               select from pg_trigger join cacheaside.recorders on recorder = tgfoid where tgrelid = is_relevant.object
           )
        or exists (
            with recursive above (class, object) as (
                select read.class, read.object from cacheaside.read_by(is_relevant.class, is_relevant.object) as read
                union
                select 'pg_class'::regclass::oid, owner.oid
                from above
                cross join lateral (
                    select inhparent from pg_inherits
                    where above.class = 'pg_class'::regclass and inhrelid = above.object
                    union all
                    select polrelid from pg_policy
                    where above.class = 'pg_policy'::regclass and pg_policy.oid = above.object
                ) as owner (oid)
            )
            select from above join cacheaside.reached using (class, object)
        );
end;

-- Records the answers made from a materialized view, whose rows were made anew.
create function cacheaside.record_refresh(relation regclass) returns void
    language sql
begin atomic
    select cacheaside.record(tag)
    from (
        select cacheaside.tag(relation) as tag
        union
        select unnest(tags) from cacheaside.wanted where wanted.relation = record_refresh.relation
    ) as made_from_it;
end;
revoke execute on function cacheaside.record_refresh from public;

-- After an error: every name is recorded, and commands record what they write until follow has succeeded. It changes no
-- row that another session may have locked.
create function cacheaside.record_all(error text) returns void
    language plpgsql
as $$
begin
    raise warning 'cacheaside could not follow this change: %', error;
    insert into cacheaside.unfollowed default values;
    perform cacheaside.record(tag) from cacheaside.names;
end
$$;
revoke execute on function cacheaside.record_all from public;

-- Follows a statement that created or altered something. Records a materialized view or a function that it changed: such
-- tags need not be watched. An error here becomes a warning: it must not fail the statement that fired the event trigger.
create function cacheaside.follow_schema() returns event_trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    -- Triggers on other tables wait for their writers, but not until PostgreSQL looks for a deadlock (after a second).
    set lock_timeout = '900ms'
as $$
declare
    changed record;
    relevant boolean := false;
begin
    if current_setting('cacheaside.following', true) = 'on' then
        return;
    end if;
    for changed in
        select distinct classid, objid, object_identity
        from pg_event_trigger_ddl_commands()
        where command_tag <> 'COMMENT' and schema_name is distinct from 'pg_temp'
    loop
        perform cacheaside.record_refresh(oid) from pg_class
        where changed.classid = 'pg_class'::regclass and oid = changed.objid and relkind = 'm';
        perform cacheaside.record(cacheaside.tag_of(nspname, proname))
        from pg_proc
        join pg_namespace on pg_namespace.oid = pronamespace
        where changed.classid = 'pg_proc'::regclass and pg_proc.oid = changed.objid and nspname <> 'cacheaside';
        relevant := relevant or cacheaside.is_relevant(changed.classid, changed.objid, changed.object_identity);
    end loop;
    if relevant then
        perform cacheaside.follow();
    end if;
exception
    when others then
        perform cacheaside.record_all(sqlerrm);
end
$$;

-- Follows a statement that dropped something: see follow_schema.
create function cacheaside.follow_drop() returns event_trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    set lock_timeout = '900ms'
as $$
begin
    if current_setting('cacheaside.following', true) = 'on' then
        return;
    end if;
    perform cacheaside.record(cacheaside.tag_of(address_names[1], address_names[2]))
    from pg_event_trigger_dropped_objects()
    where object_type in ('materialized view', 'function', 'procedure', 'aggregate') and not is_temporary;
    if tg_tag like 'ALTER %' then  -- follow_schema comes after it
        return;
    end if;
    if exists (
        select from pg_event_trigger_dropped_objects()
        where not is_temporary
          and (
              exists (select from cacheaside.reached where (class, object) = (classid, objid))
              or object_type = 'trigger' and address_names[cardinality(address_names)] like 'cacheaside\_%'
          )
    ) then
        perform cacheaside.follow();
    end if;
exception
    when others then
        perform cacheaside.record_all(sqlerrm);
end
$$;

do $$
begin
    create event trigger cacheaside_follow_schema on ddl_command_end execute function cacheaside.follow_schema();
    create event trigger cacheaside_follow_drop on sql_drop execute function cacheaside.follow_drop();
    alter event trigger cacheaside_follow_schema enable always;
    alter event trigger cacheaside_follow_drop enable always;
exception
    when insufficient_privilege then
        raise notice 'no event triggers: changes of the schema are followed by the next sweep';
end
$$;
