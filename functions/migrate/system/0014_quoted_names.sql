-- Names of any characters. A tag has each part as PostgreSQL prints it (quote_ident): orders, sales.region,
-- "InvoiceLine", "user", "Sales"."Order Lines". So a dot, a colon or a brace in a name is in quotes.
--   tag_of, schema_of, name_of, search_path, relations_of  replace those of 0006_tags.sql
--   recorders, recorder_name      replace those of 0007_recorder.sql; so does a part of create_recorder
--   unwatchable, recorded         replace those of 0009_recorded.sql
--   watch, unwatch, declare, undeclare  replace those of 0011_watch.sql; watch takes several names
--   current_sources, wanted, problems   replace the views of 0008_names.sql and 0009_recorded.sql
--   drop_unwanted_triggers              replaces that of 0010_follow.sql
--   named     is read by these views: what stands behind all watched names
--   table_of  is called by the drivers of the outbox and of commands (drivers/postgres/)
--   names_in  is called by search_path, and by the check (drivers/postgres/introspection/)

-- A tag from its parts, and its parts. They raise no error, whatever the text is. Most tags have no quotes, and need no
-- regular expression.
create or replace function cacheaside.tag_of(schema text, name text) returns text
    language sql immutable
return case when schema = 'public' then quote_ident(name) else quote_ident(schema) || '.' || quote_ident(name) end;

create function cacheaside.unquoted(part text) returns text
    language sql immutable
return coalesce(replace(substring(part from '^"(.*)"$'), '""', '"'), part);

create or replace function cacheaside.schema_of(tag text) returns text
    language sql immutable
return case
    when strpos(tag, '.') = 0 then 'public'
    when strpos(tag, '"') = 0 then split_part(tag, '.', 1)
    else coalesce(cacheaside.unquoted(substring(tag from '^("(?:[^"]|"")*"|[^".]*)\.')), 'public')
end;

create or replace function cacheaside.name_of(tag text) returns text
    language sql immutable
return case
    when strpos(tag, '"') = 0 then substr(tag, strpos(tag, '.') + 1)
    else cacheaside.unquoted(coalesce(substring(tag from '^(?:"(?:[^"]|"")*"|[^".]*)\.(.*)$'), tag))
end;

-- A tag as PostgreSQL prints it. A former release wrote user for "user". So does a later version of PostgreSQL in which
-- a word is no longer reserved.
create function cacheaside.spelled(tag text) returns text
    language sql immutable
return cacheaside.tag_of(cacheaside.schema_of(tag), cacheaside.name_of(tag));

-- The table of a change. A colon in its name is in quotes.
create function cacheaside.table_of(change text) returns text
    language sql immutable
return case
    when strpos(change, '"') = 0 then split_part(change, ':', 1)
    else substring(change from '^(?:[^":]|"[^"]*")*')
end;

-- The names in a list of identifiers, such as the value of search_path.
create function cacheaside.names_in(identifiers text) returns setof text
    language sql immutable strict rows 2
begin atomic
    select case when part[1] like '"%' then cacheaside.unquoted(part[1]) else lower(part[1]) end
    from regexp_matches(identifiers, '"(?:[^"]|"")*"|[^,"\s]+', 'g') as part;
end;

create or replace function cacheaside.search_path() returns setof text
    language sql stable strict rows 2
begin atomic
    select case when schema = '$user' then 'cacheaside_query' else schema end
    from (
        select cacheaside.names_in(substr(setting, length('search_path=') + 1))
        from (
            select setting, setrole, setdatabase
            from pg_db_role_setting
            cross join unnest(setconfig) as setting
            where setting like 'search_path=%'
              and setrole in (0, (select oid from pg_roles where rolname = 'cacheaside_query'))
              and setdatabase in (0, (select oid from pg_database where datname = current_database()))
            union all
            select 'search_path="$user", public', null, null
            order by setrole desc nulls last, setdatabase desc
            limit 1
        ) as strongest
    ) as listed (schema);
end;

-- The tables and views that a query may mean by the name in a tag: that of the tag and, where it is on the search path,
-- those of the same name in other schemas there. One can come before the other, or take its place when it is dropped.
create or replace function cacheaside.relations_of(tag text) returns setof regclass
    language sql stable strict rows 1
begin atomic
    with path as materialized (select schema from cacheaside.search_path() as schema)
    select pg_class.oid::regclass
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and relname = cacheaside.name_of(tag)
      and (
          nspname = cacheaside.schema_of(tag)
          or nspname in (select schema from path) and cacheaside.schema_of(tag) in (select schema from path)
      );
end;

-- The comment of a recorder has its tags as an array: a tag may have spaces.
do $$
declare
    each record;
begin
    for each in select * from cacheaside.recorders loop
        execute format('comment on function %s is %L', each.recorder, each.tags);
    end loop;
end
$$;

create or replace view cacheaside.recorders as
select oid::regprocedure as recorder, obj_description(oid, 'pg_proc')::text[] as tags
from pg_proc
where pronamespace = 'cacheaside'::regnamespace
  and prorettype = 'trigger'::regtype;

create or replace view cacheaside.recorded as
select tgrelid::regclass as part, tgfoid::regprocedure as recorder, obj_description(tgfoid, 'pg_proc')::text[] as tags
from pg_trigger
join pg_proc on pg_proc.oid = tgfoid
where pronamespace = 'cacheaside'::regnamespace and tgenabled = 'A'
group by tgrelid, tgfoid
having count(distinct tgtype) = 4;

-- The recorder of the table with a tag. Its name depends on nothing else: a dump of the table, restored after the table
-- was dropped, creates triggers that call it. So a table that a former release could watch keeps its recorder's name,
-- without quotes.
create or replace function cacheaside.recorder_name(tag text) returns text
    language sql immutable
begin atomic
    select format('cacheaside.%I()', 'record_' || case when octet_length(name) <= 56 then name else md5(name) end)
    from (
        select case
            when cacheaside.schema_of(tag) || '.' || cacheaside.name_of(tag)
                    !~ '^[a-z_][a-z0-9_$]*[.][a-z_][a-z0-9_$]*$' then tag
            when cacheaside.schema_of(tag) = 'public' then cacheaside.name_of(tag)
            else cacheaside.schema_of(tag) || '.' || cacheaside.name_of(tag)
        end
    ) as former (name);
end;

-- All of create_recorder stays, but for the comment.
do $do$
declare
    former  constant text := pg_get_functiondef('cacheaside.create_recorder'::regproc);
    written constant text := $$array_to_string(tags, ' ')$$;
begin
    if strpos(former, written) = 0 then
        raise 'cacheaside.create_recorder is not that of 0007_recorder.sql';
    end if;
    execute replace(former, written, 'tags');
end
$do$;

create or replace function cacheaside.unwatchable(relation regclass) returns text
    language sql stable
begin atomic
    select coalesce(
        case
            when relispartition
                then format('it is a partition: watch %s with all of its partitions', pg_partition_root(relation))
            when nspname in ('cacheaside', 'pg_catalog', 'information_schema') then 'it is a system table'
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

-- Hundreds of names. PostgreSQL cannot know how many rows these tables have in the transaction that fills them, and
-- looked up each name once for each other one. So the views look up all of them at once, and keep what they found.
-- `named` is objects_of for all watched names.
create view cacheaside.named (tag, class, object) as
with path as materialized (select array_agg(schema) as schemas from cacheaside.search_path() as schema),
part as materialized (
    select tag, cacheaside.schema_of(tag) as schema, cacheaside.name_of(tag) as name from cacheaside.names
)
select tag, 'pg_class'::regclass::oid, pg_class.oid
from part
cross join path
join pg_class on relname = part.name
join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  and (nspname = part.schema or nspname = any (schemas) and part.schema = any (schemas))
union all
select tag, 'pg_proc'::regclass, pg_proc.oid
from part
join pg_proc on proname = part.name
join pg_namespace on pg_namespace.oid = pronamespace
where nspname = part.schema;

create or replace view cacheaside.current_sources as
with named as materialized (select tag, class, object from cacheaside.named)
select source_class as class, identity, cacheaside.tag(relation) as tag from cacheaside.tables_reached
union
select behind.source_class, behind.identity, tag
from named
join cacheaside.reached on (source_class, source) = (named.class, named.object)
join cacheaside.reached as behind on (behind.source_class, behind.source) = (reached.class, reached.object);

create or replace view cacheaside.wanted as
with declared as materialized (select class, identity, tag from cacheaside.sources where valid_from <= now()),
named as materialized (select tag, class, object from cacheaside.named),
tables_reached as materialized (select source_class, source, identity, relation from cacheaside.tables_reached),
behind (relation, tag) as (
    select relation, tag from named join tables_reached on (source_class, source) = (named.class, named.object)
    union
    select relation, (
        select min(tag) from declared join cacheaside.names using (tag)
        where (class, identity) = (source_class, tables_reached.identity)
    )
    from tables_reached
    where cacheaside.tag(relation) not in (
        select tag from declared where (class, identity) = (source_class, tables_reached.identity)
    )
),
wanted (relation, tags) as materialized (
    select written.relation, array_agg(distinct tag order by tag)
    from (select cacheaside.parents(behind.relation) as relation, tag from behind) as written
    join pg_class on pg_class.oid = written.relation
    where tag is not null
      and relnamespace not in (
          'pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'cacheaside'::regnamespace
      )
    group by written.relation
)
select relation, tags from wanted;

create or replace view cacheaside.problems as
with behind as materialized (
    select tag, cacheaside.tables_read_by(class, object) as relation from cacheaside.named
    union
    select unnest(tags), relation from cacheaside.wanted
),
recorded as materialized (select part, tags from cacheaside.recorded),
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
                select from recorded where recorded.part = pg_class.oid and behind.tag = any(tags)
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
),
problems as materialized (select tag, min(problem) as problem from found group by tag)
select tag, problem from problems;

create or replace function cacheaside.drop_unwanted_triggers() returns void
    language plpgsql
as $$
declare
    unwanted record;
begin
    for unwanted in
        with wanted as materialized (
            select relation, to_regprocedure(cacheaside.recorder_name(cacheaside.tag(relation))) as own
            from cacheaside.wanted
        ),
        installed as materialized (
            select pg_trigger.*, coalesce(pg_partition_root(tgrelid), tgrelid) as whole
            from pg_trigger
            join cacheaside.recorders on recorder = tgfoid
        )
        select tgname as name, tgrelid::regclass as part
        from installed
        left join wanted on relation = whole
        where relation is null
           or tgfoid is distinct from own
           or tgenabled = 'A'
              and tgname !~ ('_' || tgrelid::oid || '$')
              and (
                  select count(*) = 4 from pg_trigger as own
                  where own.tgrelid = installed.tgrelid and own.tgfoid = installed.tgfoid
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
        with kept as materialized (
            select tgfoid::oid as recorder from pg_trigger
            union
            select to_regprocedure(cacheaside.recorder_name(tag)) from cacheaside.sources
        )
        select recorder as name from cacheaside.recorders
        where recorder not in (select recorder from kept where recorder is not null)
    loop
        execute format('drop function %s', unwanted.name);
    end loop;
end
$$;

create index sources_tag_idx on cacheaside.sources (tag);
create index reached_identity_idx on cacheaside.reached (identity);

-- Takes any number of tables, and follows once for all of them.
drop function cacheaside.watch(regclass);
create function cacheaside.watch(variadic relations regclass[]) returns text
    language plpgsql
    set quote_all_identifiers = off
as $$
declare
    reasons text := (
        select string_agg(format('%s: %s', relation, cacheaside.unwatchable(relation)), '; ')
        from unnest(relations) as relation
        where cacheaside.unwatchable(relation) is not null
    );
    tags constant text[] := array(
        select distinct cacheaside.tag(relation) from unnest(relations) as relation order by 1
    );
begin
    if reasons is not null then
        raise 'cannot watch %', reasons;
    end if;
    -- One session at a time, also if a name is watched already: all sessions lock them in the same order.
    insert into cacheaside.names (tag, key)
    select tag, cacheaside.key(cacheaside.relation_of(tag)) from unnest(tags) as tag order by tag
    on conflict (tag) do update set tag = excluded.tag;
    perform cacheaside.follow();
    select string_agg(format('%s: %s', tag, problem), '; ' order by tag)
    from cacheaside.names
    where tag = any (tags) and problem is not null
    into reasons;
    if reasons is not null then
        raise 'cannot watch %', reasons;
    end if;
    -- Earlier changes may not have been recorded.
    perform cacheaside.record(tag) from unnest(tags) as tag;
    return array_to_string(tags, ', ');
end
$$;

-- A name in its former spelling is watched beside the new one while former code of the functions may declare it.
alter table cacheaside.names add column valid_until timestamptz not null default 'infinity';

create or replace function cacheaside.unwatch(name text) returns void
    language plpgsql
    set quote_all_identifiers = off
as $$
declare
    relation constant regclass := to_regclass(name);
    -- A tag, or a name as watch takes it.
    watched  constant text := case
        when relation is null or exists (select from cacheaside.names where tag = name) then cacheaside.spelled(name)
        else cacheaside.tag(relation)
    end;
begin
    if exists (select from pg_class where oid = relation and relispartition)
       and not exists (select from cacheaside.names where tag = name) then
        raise 'cannot unwatch %: it is a partition', name
            using hint = format('Unwatch %s.', pg_partition_root(relation));
    end if;
    delete from cacheaside.names where cacheaside.spelled(tag) = watched;  -- both spellings
    if not found then
        raise 'cannot unwatch %: it is not watched', name;
    end if;
    perform cacheaside.follow();
end
$$;

create or replace function cacheaside.declare(tags text[]) returns void
    language plpgsql
    set quote_all_identifiers = off
as $$
declare
    former_code_has_ended constant timestamptz := now() + interval '1 hour';
begin
    delete from cacheaside.names where valid_until <= now() and tag <> all (tags);
    update cacheaside.names set valid_until = former_code_has_ended
    where valid_until = 'infinity' and tag <> cacheaside.spelled(tag) and tag <> all (tags);
    insert into cacheaside.names (tag, key)
    select distinct declared, cacheaside.key(cacheaside.relation_of(declared)) from unnest(tags) as declared
    on conflict (tag) do update set key = excluded.key, key_valid_from = former_code_has_ended
    where names.key is distinct from excluded.key or names.key_valid_from = 'infinity';
    perform cacheaside.follow();
    insert into cacheaside.sources (class, identity, tag, valid_from)
    select class, identity, tag, former_code_has_ended from cacheaside.current_sources
    on conflict (class, identity, tag) do update set valid_until = 'infinity' where sources.valid_until < 'infinity';
    update cacheaside.sources set valid_until = former_code_has_ended
    where valid_until = 'infinity'
      and (class, identity, tag) not in (select class, identity, tag from cacheaside.current_sources);
end
$$;

create or replace function cacheaside.undeclare() returns void
    language sql
begin atomic
    delete from cacheaside.sources where valid_from > now();
    update cacheaside.sources set valid_until = 'infinity' where valid_until < 'infinity';
    update cacheaside.names set key_valid_from = 'infinity' where key_valid_from > now();
    update cacheaside.names set valid_until = 'infinity' where valid_until < 'infinity';
end;

-- In a session with this setting, PostgreSQL would print all names in quotes.
alter function cacheaside.follow set quote_all_identifiers = off;
alter function cacheaside.record_unrecorded set quote_all_identifiers = off;
alter function cacheaside.follow_schema set quote_all_identifiers = off;
alter function cacheaside.follow_drop set quote_all_identifiers = off;

-- Names that a former release wrote without quotes: reserved words, and those with a $. Following them records each
-- such table as a whole under both of its tags, after the transactions that called the former recorder.
insert into cacheaside.names (tag, key, key_valid_from)
select cacheaside.spelled(tag), key, key_valid_from from cacheaside.names where tag <> cacheaside.spelled(tag)
on conflict do nothing;
insert into cacheaside.sources (class, identity, tag, valid_from, valid_until)
select class, identity, cacheaside.spelled(tag), valid_from, valid_until
from cacheaside.sources
where tag <> cacheaside.spelled(tag)
on conflict do nothing;
select cacheaside.follow();
