-- How tables and rows are named in the outbox. These functions read only PostgreSQL's catalogue.
--   tag, relation_of, partitions, parents are called by all files below, and by the check (drivers/postgres/introspection/)
--   key_columns                   is called by create_recorder (0007_recorder.sql), and by the check

-- The tag of a table: its name, with its schema if that is not public. A partition has the tag of its whole table.
create function cacheaside.tag(relation regclass) returns text
    language sql stable
begin atomic
    select case when nspname = 'public' then relname else nspname || '.' || relname end
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
      and relname = case when strpos(tag, '.') > 0 then substr(tag, strpos(tag, '.') + 1) else tag end
      and nspname = case when strpos(tag, '.') > 0 then split_part(tag, '.', 1) else 'public' end;
end;

-- A table and its partitions of all levels.
create function cacheaside.partitions(relation regclass) returns setof regclass
    language sql stable
begin atomic
    select relation
    union
    select relid from pg_partition_tree(relation);
end;

-- A table and those that it inherits from. A statement that names one of them can change its rows, and fires the triggers of
-- the named table only.
create function cacheaside.parents(relation regclass) returns setof regclass
    language sql stable
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
