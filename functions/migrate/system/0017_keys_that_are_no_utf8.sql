-- The functions speak UTF-8. In a database in SQL_ASCII, and in some code pages of Windows, a text can hold bytes that
-- have no UTF-8. A key with such bytes could not be sent: one row of the outbox stopped the drain of all.
--
--   record   records the whole table instead. No caller can ask for a row with such a key.
--   watch    refuses a table with such a name, which no catalogue can declare

create function cacheaside.is_utf8(value text) returns boolean
    language plpgsql immutable strict
as $$
begin
    if value !~ '[^\x01-\x7f]' then
        return true;
    end if;
    begin
        perform convert_to(value, 'UTF8');
        return true;
    exception
        when character_not_in_repertoire or untranslatable_character then
            return false;
    end;
end
$$;

create or replace function cacheaside.record(tag text, keys text[] default null, new_keys text[] default '{}')
    returns void
    language plpgsql
as $$
begin
    if keys = '{}' then  -- the statement changed no row
        return;
    -- Not worth listing: nearly every answer is made from one of so many rows.
    elsif pg_catalog.cardinality(keys) > 100 then
        keys := null;
        new_keys := '{}';
    end if;
    insert into cacheaside.outbox (change)
    -- A key that is null, that might be too long for the index of the outbox, or that cannot be sent, stands for the
    -- whole table.
    select distinct case
        when pg_catalog.octet_length(key) <= 512
            and (pg_catalog.getdatabaseencoding() = 'UTF8' or cacheaside.is_utf8(key))
            then tag || ':' || key
        else tag
    end
    from pg_catalog.unnest(coalesce(keys, array[null]) || new_keys) as key
    on conflict (transaction_id, change) do update set drained_at = null where outbox.drained_at is not null;
end
$$;

create or replace function cacheaside.unwatchable(relation regclass) returns text
    language sql stable
begin atomic
    select coalesce(
        case
            when relispartition
                then format('it is a partition: watch %s with all of its partitions', pg_partition_root(relation))
            when nspname in ('cacheaside', 'pg_catalog', 'information_schema') then 'it is a system table'
            when getdatabaseencoding() <> 'UTF8' and not cacheaside.is_utf8(nspname || '.' || relname)
                then 'its name is no UTF-8, so no query can declare it'
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

-- Those that were recorded before. A table with such a name could be watched; nothing asks for it.
with unsent as (
    delete from cacheaside.outbox
    where getdatabaseencoding() <> 'UTF8' and not cacheaside.is_utf8(change)
    returning change, transaction_id
)
insert into cacheaside.outbox (transaction_id, change)
select distinct transaction_id, cacheaside.table_of(change)
from unsent
where cacheaside.is_utf8(cacheaside.table_of(change))
on conflict (transaction_id, change) do update set drained_at = null;
