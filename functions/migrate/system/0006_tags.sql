-- How tables and rows are named in the outbox. These functions read only PostgreSQL's catalogue.
--   tag          is called by all files below, and by the check (drivers/postgres/introspection/)
--   key_columns  is called by create_recorder (0007_recorder.sql), and by the check
--   all others   are called by the files below

-- A tag from its parts, and its parts: a schema that is not public, a dot and a name, or a name in public.
create function cacheaside.tag_of(schema text, name text) returns text
    language sql immutable
return case when schema = 'public' then name else schema || '.' || name end;

create function cacheaside.schema_of(tag text) returns text
    language sql immutable
return case when strpos(tag, '.') > 0 then split_part(tag, '.', 1) else 'public' end;

create function cacheaside.name_of(tag text) returns text
    language sql immutable
return substr(tag, strpos(tag, '.') + 1);

-- The tag of a table: its name, with its schema if that is not public. A partition has the tag of its whole table.
create function cacheaside.tag(relation regclass) returns text
    language sql stable
begin atomic
    select cacheaside.tag_of(nspname, relname)
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = coalesce(pg_partition_root(relation), relation);
end;

-- The table or view that now has the name in a tag, or null.
create function cacheaside.relation_of(tag text) returns regclass
    language sql stable
begin atomic
    select pg_class.oid::regclass
    from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and relname = cacheaside.name_of(tag)
      and nspname = cacheaside.schema_of(tag);
end;

-- The schemas in which the query function looks for a name: the setting of its role in this database, of its role, or
-- of the database.
create function cacheaside.search_path() returns setof text
    language sql stable strict rows 2
begin atomic
    select case when schema = '$user' then 'cacheaside_query' else schema end
    from (
        select trim(both '" ' from unnest(string_to_array(split_part(setting, '=', 2), ',')))
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
create function cacheaside.relations_of(tag text) returns setof regclass
    language sql stable strict rows 1
begin atomic
    select cacheaside.relation_of(tag) where cacheaside.relation_of(tag) is not null
    union
    select other.relation
    from cacheaside.search_path() as schema
    cross join lateral (
        select cacheaside.relation_of(cacheaside.tag_of(schema, cacheaside.name_of(tag)))
    ) as other (relation)
    where other.relation is not null
      and cacheaside.schema_of(tag) in (select on_path from cacheaside.search_path() as on_path);
end;

-- What a query may mean by the name in a tag: tables and views, or functions whose bodies PostgreSQL does not know.
create function cacheaside.objects_of(tag text) returns table (class oid, object oid)
    language sql stable strict rows 1
begin atomic
    select 'pg_class'::regclass::oid, relation::oid from cacheaside.relations_of(tag) as relation
    union all
    select 'pg_proc'::regclass, pg_proc.oid
    from pg_proc
    join pg_namespace on pg_namespace.oid = pronamespace
    where proname = cacheaside.name_of(tag)
      and nspname = cacheaside.schema_of(tag);
end;

-- A table and its partitions of all levels.
create function cacheaside.partitions(relation regclass) returns setof regclass
    language sql stable strict rows 10
begin atomic
    select relation
    union
    select relid from pg_partition_tree(relation);
end;

-- A table and those that it inherits from. A statement that names one of them can change its rows, and fires the
-- triggers of the named table only.
create function cacheaside.parents(relation regclass) returns setof regclass
    language sql stable strict rows 1
begin atomic
    with recursive parents (parent) as (
        select relation
        union
        select inhparent::regclass from pg_inherits join parents on inhrelid = parent
    )
    select parent from parents;
end;

-- The columns of a table's primary key in the key's order, each with the expression of its text. Rows can be named by a
-- key only if equal values have the same text; numerics, for example, have not: 1.5 = 1.50. Then no column is returned,
-- and the rows of the table have no tags.
create function cacheaside.key_columns(relation regclass)
    returns table (number bigint, name text, type regtype, expression text)
    language sql stable
begin atomic
    with key as (
        select
            numbered.number,
            attname::text as name,
            atttypid::regtype as type,
            case
                when atttypid = any (array['smallint', 'integer', 'bigint', 'uuid', 'boolean']::regtype[])
                    then format('%I::text', attname)
                when atttypid = any (array['text', 'varchar']::regtype[]) and collisdeterministic
                    then format('%I::text', attname)
                -- Without the cast to timestamp, the text would depend on the writer's time zone.
                when atttypid = 'date'::regtype then format('to_char(%I::timestamp, %L)', attname, 'YYYY-MM-DD')
                -- No cast: the owner of the type could redefine it.
                when typtype = 'e' then format('enum_out(%I)::text', attname)
            end as expression
        from pg_index
        cross join unnest(indkey::smallint[]) with ordinality as numbered (attnum, number)
        join pg_attribute on attrelid = indrelid and pg_attribute.attnum = numbered.attnum
        join pg_type on pg_type.oid = atttypid
        left join pg_collation on pg_collation.oid = attcollation
        where indrelid = relation
          and indisprimary
          and numbered.number <= indnkeyatts
    )
    select key.number, key.name, key.type, key.expression
    from key
    where (select bool_and(every_column.expression is not null) from key as every_column)
    order by key.number;
end;

-- The key by which the rows of a table are named, or null if they have no tags.
create function cacheaside.key(relation regclass) returns text
    language sql stable
    set search_path = pg_catalog, pg_temp  -- so that the names of types are written in full
begin atomic
    select string_agg(format('%s %s', expression, type), ', ' order by number) from cacheaside.key_columns(relation);
end;
