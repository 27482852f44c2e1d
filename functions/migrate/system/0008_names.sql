-- What is watched is a name, such as `products`. What stands behind it can change: a table is swapped by renaming, a
-- view is replaced, a partition is attached (docs/decisions/0019).
--   names      are inserted by watch and declare (0011_watch.sql), and kept up to date by follow (0010_follow.sql)
--   read_by    is called by the functions in this file, by the files below, and by the check
--              (drivers/postgres/introspection/)
--   explore    is called by follow, and fills reached and sources
--   wanted     is read by the files below: which table must be recorded under which tags

-- The watched names. `key` is the key by which deployed queries name rows: while the table has another one, its changes
-- are recorded as changes of the whole table. `meaning` is a digest of what stood behind the name when follow last
-- looked. `problem` tells why changes behind the name could go unrecorded, and is null if none can.
create table cacheaside.names (
    tag            text primary key,
    key            text,
    key_valid_from timestamptz not null default '-infinity',
    meaning        text,
    problem        text
);

-- The answer of a query that reads a source depends on its tags: a source is whatever reads a watched table (a view, a
-- function) or is read behind a watched name. The row is kept while the source is replaced by another of the same
-- identity, because deployed queries declare the tags of what they read when they were deployed. After a deployment,
-- the former code of the functions may run on for a while: new rows are then valid from a later time, others until
-- then.
create table cacheaside.sources (
    class       oid,   -- the system catalog that lists it
    identity    text,  -- as PostgreSQL prints it: public.products, public.best_of(integer)
    tag         text,
    valid_from  timestamptz not null default '-infinity',
    valid_until timestamptz not null default 'infinity',
    primary key (class, identity, tag)
);

-- The objects that each source now reads, itself included. `identity` is that of the source.
create table cacheaside.reached (
    source_class oid,
    source       oid,
    identity     text,
    class        oid,
    object       oid,
    primary key (source_class, source, class, object)
);
create index reached_object_idx on cacheaside.reached (class, object);

-- Changes of the schema that could not be followed. The next call of follow takes them out.
create table cacheaside.unfollowed (
    failed_at timestamptz not null default clock_timestamp()
);

grant select on cacheaside.names to cacheaside_invalidate;

-- Functions that return sets are strict, so that PostgreSQL does not inline them: their row counts keep its estimates,
-- and with them its plans, reasonable while the tables below have no statistics.

-- An object and all that a query of it reads as well, from the dependencies that PostgreSQL records: the tables behind
-- a view, the partitions and children of a table, policies, functions with a parsed body, types and their labels. The
-- rows of a materialized view are its own, so what it was made from is not read.
create function cacheaside.read_by(root_class oid, root oid) returns table (class oid, object oid)
    language sql stable strict rows 10
begin atomic
    with recursive reached (class, object) as (
        select root_class, root
        union
        select next.class, next.object
        from reached
        cross join lateral (
            select refclassid, refobjid
            from (
                select reached.class, reached.object, false
                where reached.class <> 'pg_class'::regclass
                union all
                select 'pg_rewrite'::regclass, pg_rewrite.oid, false
                from pg_rewrite
                join pg_class on pg_class.oid = ev_class
                where reached.class = 'pg_class'::regclass and ev_class = reached.object and relkind = 'v'
                union all
                select reached.class, reached.object, true  -- the columns of a table: their types
                where reached.class = 'pg_class'::regclass
            ) as body (class, object, types_only)
            join pg_depend on classid = body.class and objid = body.object and refobjid <> reached.object
            where refclassid = 'pg_type'::regclass
               or not types_only
                  and refclassid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass)
            union all
            select 'pg_class'::regclass, typrelid
            from pg_type
            where reached.class = 'pg_type'::regclass and pg_type.oid = reached.object and typrelid <> 0
            union all
            select 'pg_policy'::regclass, pg_policy.oid
            from pg_policy
            where reached.class = 'pg_class'::regclass and polrelid = reached.object and polcmd in ('r', '*')
            union all
            select 'pg_class'::regclass, inhrelid
            from pg_inherits
            join pg_class on pg_class.oid = inhrelid
            where reached.class = 'pg_class'::regclass and inhparent = reached.object
              and relpersistence <> 't'  -- no other session reads it
        ) as next (class, object)
    )
    select reached.class, reached.object from reached;
end;

-- The tables among the objects that are read by one, each partition as its whole table.
create function cacheaside.tables_read_by(root_class oid, root oid) returns setof regclass
    language sql stable strict rows 3
begin atomic
    select distinct coalesce(pg_partition_root(pg_class.oid), pg_class.oid)::regclass
    from cacheaside.read_by(root_class, root) as read
    join pg_class on read.class = 'pg_class'::regclass and pg_class.oid = read.object
    where relkind in ('r', 'p', 'm', 'f', 'S');
end;

-- An object as PostgreSQL prints it.
create function cacheaside.identity(class oid, object oid) returns text
    language sql stable
return (pg_identify_object(class, object, 0)).identity;

-- The object that now has the identity of a source, or null.
create function cacheaside.object_of(class oid, identity text) returns oid
    language sql stable
return case class
    when 'pg_class'::regclass then to_regclass(identity)::oid
    when 'pg_proc'::regclass then to_regprocedure(identity)::oid
end;

-- The tables that each source now reads, each partition as its whole table.
create view cacheaside.tables_reached as
select distinct
    source_class,
    source,
    identity,
    coalesce(pg_partition_root(object), object)::regclass as relation
from cacheaside.reached
join pg_class on class = 'pg_class'::regclass and pg_class.oid = object
where relkind in ('r', 'p', 'm', 'f', 'S');

-- What the sources would be if they were all seen for the first time.
create view cacheaside.current_sources as
select source_class as class, identity, cacheaside.tag(relation) as tag from cacheaside.tables_reached
union
select behind.source_class, behind.identity, tag
from cacheaside.names
cross join cacheaside.objects_of(tag) as named
join cacheaside.reached on (source_class, source) = (named.class, named.object)
join cacheaside.reached as behind on (behind.source_class, behind.source) = (reached.class, reached.object);

-- Finds what stands behind the watched names, and the views and functions that read it.
create function cacheaside.explore() returns void
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
    where valid_until <= now() or not exists (
        select from cacheaside.sources as other join cacheaside.names using (tag)
        where (other.class, other.identity) = (sources.class, sources.identity)
    );
end
$$;

-- The tables whose changes must be recorded, each with the tags: those of the names that it stands behind. And where a
-- source reads a table that it did not read when its readers were deployed, they do not declare that table, but every
-- one of them declares all tags of the source: one of them is enough.
create view cacheaside.wanted as
with declared as materialized (select class, identity, tag from cacheaside.sources where valid_from <= now()),
wanted (relation, tag) as (
    select relation, tag
    from cacheaside.names
    cross join cacheaside.objects_of(tag) as named
    join cacheaside.tables_reached on (source_class, source) = (named.class, named.object)
    union
    select relation, (
        select min(tag) from declared join cacheaside.names using (tag)
        where (class, identity) = (source_class, tables_reached.identity)
    )
    from cacheaside.tables_reached
    where cacheaside.tag(relation) not in (
        select tag from declared where (class, identity) = (source_class, tables_reached.identity)
    )
)
select relation, array_agg(distinct tag order by tag) as tags
from (select cacheaside.parents(wanted.relation) as relation, tag from wanted) as written
join pg_class on pg_class.oid = relation
where tag is not null
  and relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'cacheaside'::regnamespace)
group by relation;
