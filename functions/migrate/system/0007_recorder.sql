-- The recorder: the trigger function that records the changes of a table. Each recorded table has its own.
--
--     INSERT, UPDATE, DELETE, TRUNCATE --> trigger --> record_products() --> record --> insert into cacheaside.outbox
--                                                                               \--> NOTIFY, if a listener needs it
--
--   record           is also called in the files below, for changes that fire no trigger
--   create_recorder  is called by follow (0010_follow.sql), which creates the triggers
-- Its callers set their search_path, or are called by the owner of the schema.
-- They read the listener (0005_listener.sql), and tag and key_columns (0006_tags.sql).

-- Records changes of a table: of the rows with these keys or, without keys, of the whole table. An updated row is given
-- with the key that it had and, in `new_keys`, with the key that it has now: answers may be made from either.
create function cacheaside.record(tag text, keys text[] default null, new_keys text[] default '{}') returns void
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
    perform pg_notify('cacheaside', '') from cacheaside.listener where listening_until > now();
end
$$;
revoke execute on function cacheaside.record from public;

-- All recorders, each with the tags that it records.
create view cacheaside.recorders as
select oid::regprocedure as recorder, string_to_array(obj_description(oid, 'pg_proc'), ' ') as tags
from pg_proc
where pronamespace = 'cacheaside'::regnamespace
  and prorettype = 'trigger'::regtype;

-- The recorder of the table with a tag. Its name depends on nothing else: a dump of the table, restored after the table
-- was dropped, creates triggers that call it.
create function cacheaside.recorder_name(tag text) returns text
    language sql immutable
return format('cacheaside.%I()', 'record_' || case when octet_length(tag) <= 56 then tag else md5(tag) end);

-- Creates the recorder of a table, or replaces it if it must record other tags or another key, and returns it. It
-- records the rows under `row_tag`, and the whole table under the other tags. `row_tag` is null if the rows are named
-- by a key that deployed queries do not know. A single recorder for all tables would need a dynamic statement, which
-- PostgreSQL plans anew for each write: that takes twice as long (docs/decisions/0009).
create function cacheaside.create_recorder(relation regclass, tags text[], row_tag text) returns regprocedure
    language plpgsql
    set search_path = pg_catalog, pg_temp  -- so that the names of types are written in full
as $body$
declare
    recorder constant text := cacheaside.recorder_name(cacheaside.tag(relation));
    -- %1$L is the tag, %2$s the text of a row's key, %3$s the number of its columns, and %4$s their names and types.
    -- 101 keys are one more than record lists.
    rows constant text := $rows$
    if tg_op = 'TRUNCATE' then
        perform cacheaside.record(%1$L);
    -- There is no key, or it has changed: where no event trigger follows the schema, a writer must not fail by that.
    elsif %3$s = 0
       or %3$s <> (select count(*) from pg_attribute where attrelid = tg_relid and (attname, atttypid) in (%4$s)) then
        perform cacheaside.record(%1$L) from (select from changed_rows limit 1) as any_row;
    elsif tg_op = 'UPDATE' then
        perform cacheaside.record(
            %1$L, array(select %2$s from changed_rows limit 101), array(select %2$s from updated_rows limit 101)
        );
    else
        perform cacheaside.record(%1$L, array(select %2$s from changed_rows limit 101));
    end if;$rows$;
    whole_table constant text := $whole_table$
    if tg_op = 'TRUNCATE' then
        perform cacheaside.record(%1$L);
    else
        perform cacheaside.record(%1$L) from (select from changed_rows limit 1) as any_row;
    end if;$whole_table$;
    key     text;
    number  integer;
    columns text;
    source  text;
begin
    select
        coalesce(string_agg(expression, ' || '','' || ' order by key_columns.number), 'null::text'),
        count(*),
        coalesce(string_agg(format('(%L, to_regtype(%L))', name, type), ', '), '(null, null)')
    from cacheaside.key_columns(relation) into key, number, columns;
    select string_agg(
        format(case when tag = row_tag then rows else whole_table end, tag, key, number, columns), '' order by tag
    ) from unnest(tags) as tag into source;
    source := format(E'\n#variable_conflict use_column\nbegin%s\n    return null;\nend\n', source);
    if source is distinct from (select prosrc from pg_proc where oid = to_regprocedure(recorder)) then
        execute format(
            'create or replace function %s returns trigger
                 language plpgsql security definer
                 set search_path = pg_catalog, pg_temp
             as %L',
            recorder, source
        );
        execute format('comment on function %s is %L', recorder, array_to_string(tags, ' '));
        execute format('revoke execute on function %s from public', recorder);
    end if;
    return recorder::regprocedure;
end
$body$;
