-- Whether every change behind a watched name is recorded, and if not, why not.
--   unwatchable   is called by watch (0011_watch.sql) and by the check (drivers/postgres/introspection/)
--   is_recorded   is called by problem, and by follow (0010_follow.sql)
--   problem       is called by follow, which stores it, and by all_recorded
--   all_recorded  is called by the command function (drivers/postgres/commands.py): is "done" true?
-- They call tag, relation_of and partitions (0006_tags.sql), and read_by (0008_names.sql).

-- Why changes of one table or partition go unrecorded whatever triggers it has, or null.
create function cacheaside.unrecordable(part regclass) returns text
    language sql stable
begin atomic
    select case
        when relkind not in ('r', 'p', 'm', 'v') then 'its rows, or some of them, are stored elsewhere and can change there'
        when relpersistence <> 'p' then 'it is not a permanent table, and a crash can empty it'
        when exists (select from pg_subscription_rel where srrelid = part)
            then 'a subscription writes to it, which does not fire its triggers'
    end
    from pg_class
    where oid = part;
end;

-- Why a name cannot be watched, or null. It is the reason of the whole table, or that of a part of it.
create function cacheaside.unwatchable(relation regclass) returns text
    language sql stable
begin atomic
    select coalesce(
        case
            when relispartition
                then format('it is a partition: watch %s, and with it all of its partitions', pg_partition_root(relation))
            when nspname in ('cacheaside', 'pg_catalog', 'information_schema') then 'it is a system table'
            when relname !~ '^[a-z_][a-z0-9_$]*$' or nspname !~ '^[a-z_][a-z0-9_$]*$'
                then 'a tag has lower-case letters, digits, _ and $'
        end,
        (
            select min(cacheaside.unrecordable(read.object::regclass))
            from cacheaside.read_by('pg_class'::regclass, relation) as read
            join pg_class as part on part.oid = read.object
            where read.class = 'pg_class'::regclass and part.relkind not in ('c', 'i', 'I', 't')
        )
    )
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = relation;
end;

-- Whether this very table, partition or not, has the four triggers that call a recorder, enabled in any session.
create function cacheaside.is_recorded(part regclass, recorder regprocedure) returns boolean
    language sql stable
begin atomic
    select count(distinct tgtype) = 4 from pg_trigger
    where tgrelid = part and tgfoid = recorder and tgenabled = 'A';
end;

-- Whether event triggers follow the schema. Without them, the schema is compared with the names once a minute.
create function cacheaside.follows_schema() returns boolean
    language sql stable
begin atomic
    select count(*) = 2 from pg_event_trigger
    where evtname in ('cacheaside_follow_schema', 'cacheaside_follow_drop') and evtenabled = 'A';
end;

-- Why changes behind a watched name could go unrecorded, or null. A name that stands for nothing has no changes.
create function cacheaside.problem(tag text) returns text
    language sql stable
begin atomic
    with relation as materialized (
        select cacheaside.tables_read_by('pg_class'::regclass, cacheaside.relation_of(problem.tag)) as relation
        union
        select relation from cacheaside.wanted where problem.tag = any(tags)
    )
    select min(format('%s: %s', part, reason))
    from relation
    cross join lateral cacheaside.partitions(relation) as part
    join pg_class on pg_class.oid = part
    cross join lateral coalesce(
        cacheaside.unrecordable(part),
        case
            when relkind = 'm' and not cacheaside.follows_schema() then 'no event trigger records its refresh'
            when relkind in ('r', 'p') and not exists (
                select from cacheaside.recorders
                where problem.tag = any(tags) and cacheaside.is_recorded(part, recorder)
            ) then 'it has no triggers that record its changes'
        end
    ) as reason
    where reason is not null;
end;

-- The watched names. `complete` is false if a change behind the name could go unrecorded.
create view cacheaside.watched as
select tag, cacheaside.relation_of(tag) as relation, cacheaside.problem(tag) is null as complete
from cacheaside.names;

-- Whether the changes behind every watched name are recorded. A command says "done" only then.
create function cacheaside.all_recorded() returns boolean
    language sql stable security definer
    set search_path = pg_catalog, pg_temp
begin atomic
    select not exists (select from cacheaside.names where problem is not null)
       and (cacheaside.follows_schema() or not exists (select from cacheaside.watched where not complete));
end;
revoke execute on function cacheaside.all_recorded from public;
grant execute on function cacheaside.all_recorded to cacheaside_command;
