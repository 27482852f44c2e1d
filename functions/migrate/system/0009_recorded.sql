-- Whether every change behind a watched name is recorded, and if not, why not.
--   unwatchable        is called by watch (0011_watch.sql) and by the check (drivers/postgres/introspection/)
--   recorded           is read by the views below, and by follow (0010_follow.sql)
--   problems           is read by follow, which stores them
--   watched            is read by the check, and by the engineer on call
--   record_unrecorded  is called by the command function before COMMIT (drivers/postgres/commands.py)
-- They call functions of 0006_tags.sql, and read_by (0008_names.sql).

-- Why changes of one table or partition go unrecorded whatever triggers it has, or null.
create function cacheaside.unrecordable(part regclass) returns text
    language sql stable
begin atomic
    select case
        when relkind not in ('r', 'p', 'm', 'v')
            then 'its rows, or some of them, are stored elsewhere and can change there'
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
                then format('it is a partition: watch %s with all of its partitions', pg_partition_root(relation))
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

-- The tables and partitions that have the four triggers of a recorder, enabled in any session.
create view cacheaside.recorded as
select
    tgrelid::regclass as part,
    tgfoid::regprocedure as recorder,
    string_to_array(obj_description(tgfoid, 'pg_proc'), ' ') as tags
from pg_trigger
join pg_proc on pg_proc.oid = tgfoid
where pronamespace = 'cacheaside'::regnamespace and tgenabled = 'A'
group by tgrelid, tgfoid
having count(distinct tgtype) = 4;

-- Whether event triggers follow the schema. Without them, only sweeps do.
create function cacheaside.follows_schema() returns boolean
    language sql stable
begin atomic
    select count(*) = 2 from pg_event_trigger
    where evtname in ('cacheaside_follow_schema', 'cacheaside_follow_drop') and evtenabled = 'A';
end;

-- Why changes behind the watched names could go unrecorded. A name that stands for nothing has no changes.
create view cacheaside.problems as
with behind as materialized (
    select tag, cacheaside.tables_read_by(named.class, named.object) as relation
    from cacheaside.names
    cross join cacheaside.objects_of(tag) as named
    union
    select unnest(tags), relation from cacheaside.wanted
),
found as (
    select tag, format('%s: %s', part, reason) as problem
    from behind
    cross join lateral cacheaside.partitions(relation) as part
    join pg_class on pg_class.oid = part
    cross join lateral coalesce(
        cacheaside.unrecordable(part),
        case
            when relkind = 'm' and not cacheaside.follows_schema() then 'no event trigger records its refresh'
            when relkind in ('r', 'p') and not exists (
                select from cacheaside.recorded where recorded.part = pg_class.oid and behind.tag = any(tags)
            ) then 'it has no triggers that record its changes'
        end
    ) as reason
    where reason is not null
    union all
    select tag, format('%s: its body is a string now, which hides what it reads', sources.identity)
    from cacheaside.sources
    join cacheaside.names using (tag)
    join pg_proc on class = 'pg_proc'::regclass and pg_proc.oid = cacheaside.object_of(class, sources.identity)
    where prosqlbody is null
)
select tag, min(problem) as problem from found group by tag;

-- The watched names. `complete` is false if a change behind the name could go unrecorded.
create view cacheaside.watched as
select tag, cacheaside.relation_of(tag) as relation, problems.problem is null as complete
from cacheaside.names
left join cacheaside.problems using (tag);

-- Records, in the caller's transaction, the watched names behind which it has written to a table without triggers. So a
-- command that says "done" is right even where a change of the schema has not been followed yet. Only then does it look
-- at the locks of the transaction, which tell what was written.
create function cacheaside.record_unrecorded() returns void
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    written oid[];
begin
    if cacheaside.follows_schema()
       and not exists (select from cacheaside.names where problem is not null)
       and not exists (select from cacheaside.unfollowed) then
        return;
    end if;
    select array_agg(distinct part)
    from pg_locks
    cross join lateral unnest(array[relation, pg_partition_root(relation)]) as part
    where pid = pg_backend_pid()
      and locktype = 'relation'
      and mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock')
    into written;
    perform cacheaside.record(tag)
    from (
        -- All readers of a source declare all of its tags: one of them is enough.
        with source as materialized (
            select array[tag] as tags, class, object from cacheaside.names cross join cacheaside.objects_of(tag)
            union all
            select array_agg(tag), class, cacheaside.object_of(class, identity)
            from cacheaside.sources
            join cacheaside.names using (tag)
            group by class, identity
        )
        select distinct tags[1] as tag
        from source
        cross join lateral (
            select object as part from cacheaside.read_by(class, source.object)
            offset 0  -- source by source
        ) as read
        where part = any(written)
          and not exists (
              select from cacheaside.recorded where recorded.part = read.part and recorded.tags && source.tags
          )
    ) as unrecorded;
end
$$;
revoke execute on function cacheaside.record_unrecorded from public;
grant execute on function cacheaside.record_unrecorded to cacheaside_command;
