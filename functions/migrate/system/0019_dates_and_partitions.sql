-- A date after the year 294276 is no timestamp: a writer's insert of such a key failed. No caller can ask for a row of
-- a later year than 9999, so it is recorded as the table.
--
-- A partition that `detach concurrently` has begun to detach holds no rows of its table any more. If the statement was
-- cancelled, nothing was recorded. Now it has another version, so the next call of follow records its table.

create or replace function cacheaside.key_columns(relation regclass)
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
                when atttypid = 'date'::regtype then format(
                    'to_char((case when %1$I < %2$L::date then %1$I end)::timestamp, %3$L)',
                    attname, '10000-01-01', 'YYYY-MM-DD'
                )
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

create or replace function cacheaside.version(class oid, object oid) returns text
    language sql stable
return concat_ws(
    ',', class, object,
    (
        select concat_ws(
            ' ', relnamespace, relname, relkind, relfilenode, relpersistence, relispartition, relowner, relrowsecurity,
            relforcerowsecurity,
            case when relkind = 'v' then reloptions::text end
        )
        from pg_class
        where version.class = 'pg_class'::regclass and oid = object
    ),
    (
        select string_agg(
            concat_ws(' ', attnum, attname, atttypid, atttypmod, attcollation, pg_attrdef.xmin),
            ',' order by attnum
        )
        from pg_attribute
        left join pg_attrdef on attgenerated <> '' and adrelid = attrelid and adnum = attnum
        where version.class = 'pg_class'::regclass and attrelid = object and attnum > 0 and not attisdropped
    ),
    (
        select string_agg(
            inhparent::text || case when inhdetachpending then ' leaving' else '' end, '.' order by inhseqno
        )
        from pg_inherits
        where version.class = 'pg_class'::regclass and inhrelid = object
    ),
    (
        select string_agg(xmin::text, '.') from pg_rewrite
        where version.class = 'pg_class'::regclass and ev_class = object
    ),
    (select xmin from pg_proc where version.class = 'pg_proc'::regclass and oid = object),
    (select xmin from pg_policy where version.class = 'pg_policy'::regclass and oid = object),
    (select xmin from pg_operator where version.class = 'pg_operator'::regclass and oid = object),
    (select xmin from pg_type where version.class = 'pg_type'::regclass and oid = object),
    (
        select string_agg(xmin::text, '.' order by enumsortorder) from pg_enum
        where version.class = 'pg_type'::regclass and enumtypid = object
    )
);

-- The rows of a table with a date in its key go on having tags.
update cacheaside.names set key = cacheaside.key(cacheaside.relation_of(tag)) where key like '%to_char(%';
select cacheaside.follow();
