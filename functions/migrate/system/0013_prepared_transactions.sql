-- Transactions of others that are prepared (two-phase commit): none is refused, and none that stays open makes others
-- wait. PostgreSQL cannot prepare a transaction that called NOTIFY, so writers do not notify any more: the invalidate
-- function polls (docs/decisions/0025).
--   record      replaces that of 0007_recorder.sql
--   partitions  replaces that of 0006_tags.sql
--   explore     replaces that of 0008_names.sql
-- The table cacheaside.listener stays, because former code of the invalidate function writes to it: during a deployment,
-- and after a rollback. That code then finds changes within a second, without a notification.

-- Records changes of a table: of the rows with these keys or, without keys, of the whole table. An updated row is given
-- with the key that it had and, in `new_keys`, with the key that it has now: answers may be made from either.
create or replace function cacheaside.record(tag text, keys text[] default null, new_keys text[] default '{}')
    returns void
    language plpgsql
as $$
begin
    if keys = '{}' then  -- the statement changed no row
        return;
    elsif cardinality(keys) > 100 then  -- not worth listing: nearly every answer is made from one of so many rows
        keys := null;
        new_keys := '{}';
    end if;
    insert into cacheaside.outbox (change)
    -- A key that is null, or might be too long for the index of the outbox, stands for the whole table.
    select distinct case when octet_length(key) <= 512 then tag || ':' || key else tag end
    from unnest(coalesce(keys, array[null]) || new_keys) as key
    on conflict (transaction_id, change) do update set drained_at = null where outbox.drained_at is not null;
end
$$;

-- A table and its partitions of all levels. pg_partition_tree would lock each partition, and so wait for a transaction
-- that alters one.
create or replace function cacheaside.partitions(relation regclass) returns setof regclass
    language sql stable strict rows 10
begin atomic
    with recursive tree (part) as (
        select relation
        union
        select inhrelid::regclass
        from tree
        join pg_inherits on inhparent = part
        join pg_class on pg_class.oid = inhrelid
        where relispartition
    )
    select part from tree;
end;

-- Finds what stands behind the watched names, and the views and functions that read it. It waits for no other
-- session that deletes a source.
create or replace function cacheaside.explore() returns void
    language plpgsql  -- keeps its plans
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    with recursive source (class, object) as (
        select read.class, read.object
        from cacheaside.names
        cross join cacheaside.objects_of(tag) as named
        cross join cacheaside.read_by(named.class, named.object) as read
        where read.class in ('pg_class'::regclass, 'pg_proc'::regclass)
        union
        select sources.class, cacheaside.object_of(sources.class, identity) from cacheaside.sources
        where cacheaside.object_of(sources.class, identity) is not null
        union
        select reader.class, reader.object
        from source
        cross join lateral (
            select 'pg_class'::regclass::oid, ev_class
            from pg_depend
            join pg_rewrite on pg_rewrite.oid = objid
            join pg_class on pg_class.oid = ev_class
            where classid = 'pg_rewrite'::regclass
              and refclassid = source.class and refobjid = source.object
              and relkind = 'v' and relpersistence <> 't'
            union all
            select classid, objid from pg_depend
            where classid = 'pg_proc'::regclass and refclassid = source.class and refobjid = source.object
            union all
            select 'pg_class'::regclass, inhparent from pg_inherits
            where source.class = 'pg_class'::regclass and inhrelid = source.object
        ) as reader (class, object)
    ),
    found as materialized (
        select source.class as source_class, source.object as source, source.identity, read.class, read.object
        from (select class, object, cacheaside.identity(class, object) as identity from source) as source
        cross join cacheaside.read_by(source.class, source.object) as read
    ),
    gone as (
        delete from cacheaside.reached
        where ctid in (
            select reached.ctid
            from cacheaside.reached
            left join found using (source_class, source, class, object)
            where found.source is null
            for update of reached skip locked  -- another session deletes it
        )
    )
    -- Only what is new: other rows would be locked, and other sessions wait for them.
    insert into cacheaside.reached (source_class, source, identity, class, object)
    select source_class, source, found.identity, class, object
    from found
    left join cacheaside.reached using (source_class, source, class, object)
    where reached.identity is distinct from found.identity
    on conflict (source_class, source, class, object) do update set identity = excluded.identity;

    insert into cacheaside.sources (class, identity, tag)
    select class, identity, tag from cacheaside.current_sources
    where (class, identity) not in (select class, identity from cacheaside.sources)
    on conflict do nothing;

    -- Also those of names that are not watched any more.
    delete from cacheaside.sources
    where ctid in (
        select ctid from cacheaside.sources
        where valid_until <= now() or not exists (
            select from cacheaside.sources as other join cacheaside.names using (tag)
            where (other.class, other.identity) = (sources.class, sources.identity)
        )
        for update skip locked
    );
end
$$;
