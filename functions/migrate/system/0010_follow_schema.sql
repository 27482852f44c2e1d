-- Changes that fire no trigger of a table: of the schema, of partitions, of materialized views.
-- PostgreSQL calls follow_schema and follow_drop after such statements, through event triggers. They call watch and
-- drop_unused_recorders (0009_watch.sql), and record (0007_recorder.sql).
-- Event triggers can be created by a superuser only, on RDS by rds_superuser. Without them the owner calls watch.

-- Updates the triggers of a watched table that was altered or got a partition, and records the table, because its
-- contents may have changed. Records a materialized view that was refreshed, created or renamed. An error here becomes a
-- warning: it must not fail the statement that fired the event trigger.
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
    -- ALTER TABLE can rename a materialized view, too.
    perform cacheaside.record(cacheaside.tag(oid)) from pg_class
    where relkind = 'm'
      and oid in (select objid from pg_event_trigger_ddl_commands() where classid = 'pg_class'::regclass);
    for altered in
        with recursive above (relation) as (
            select objid from pg_event_trigger_ddl_commands()
            where classid = 'pg_class'::regclass
            union
            select inhparent from pg_inherits join above on inhrelid = relation
        )
        select coalesce(pg_partition_root(relation), relation)
        from above
        where exists (
            select from cacheaside.parts(relation) as part
            join pg_trigger on tgrelid = part
            join cacheaside.recorders on recorder = tgfoid
        )
        union
        select relation from cacheaside.watched where tg_tag = 'ALTER SCHEMA' and tag <> cacheaside.tag(relation)
    loop
        perform cacheaside.watch(altered);
    end loop;
exception
    when others then
        raise warning 'cacheaside could not follow this change: %', sqlerrm
            using hint = 'Call cacheaside.watch for the table.';
end
$$;

-- Records the tables that lost their rows because a table was dropped. A dropped partition cannot be asked for its
-- table any more, so every watched partitioned table is recorded.
create function cacheaside.follow_drop() returns event_trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from pg_event_trigger_dropped_objects()
        where object_type = 'trigger' and address_names[cardinality(address_names)] like 'cacheaside\_%'
    ) then
        perform cacheaside.record(tag) from cacheaside.watched join pg_class on oid = relation where relkind = 'p';
        perform cacheaside.drop_unused_recorders();
    end if;
exception
    when others then
        raise warning 'cacheaside could not follow this change: %', sqlerrm;
end
$$;

do $$
begin
    create event trigger cacheaside_follow_schema on ddl_command_end
        when tag in (
            'ALTER SCHEMA', 'ALTER TABLE', 'CREATE TABLE',
            'ALTER MATERIALIZED VIEW', 'CREATE MATERIALIZED VIEW', 'REFRESH MATERIALIZED VIEW'
        )
        execute function cacheaside.follow_schema();
    create event trigger cacheaside_follow_drop on sql_drop
        when tag in ('DROP OWNED', 'DROP SCHEMA', 'DROP TABLE')
        execute function cacheaside.follow_drop();
    alter event trigger cacheaside_follow_schema enable always;
    alter event trigger cacheaside_follow_drop enable always;
exception
    when insufficient_privilege then
        raise notice 'no event triggers: call cacheaside.watch again after altering a table that is watched';
end
$$;
