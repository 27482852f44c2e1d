-- Changes that no trigger of a table can see: of the schema, of partitions, of materialized views.

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
    -- Refreshed, made, or given the name of another: which ALTER TABLE does, too.
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

-- A table that was dropped takes its rows with it. If it was a partition, it does not say whose.
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
