-- Which tables can be watched: those whose every change fires a trigger.
-- Called by watch (0009_watch.sql) and by the check of the tags (drivers/postgres/introspection/), which reports the
-- reason. Calls parts (0006_tags.sql).

-- Raises an exception, with a hint where there is another way, if changes of the table could go unrecorded.
create function cacheaside.refuse_unwatchable(relation regclass) returns void
    language plpgsql
as $$
declare
    found record;
begin
    select relkind, relispartition, relname, nspname from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = relation into strict found;
    if found.relispartition then
        raise 'cannot watch %: it is a partition', relation
            using hint = format('Watch %s, and with it all of its partitions.', pg_partition_root(relation));
    elsif found.relkind = 'v' then
        raise 'cannot watch %: it is a view', relation using hint = 'Watch the tables that it reads.';
    elsif found.relkind = 'm' then
        raise 'cannot watch %: it is a materialized view', relation
            using hint = 'There is nothing to do: the event trigger cacheaside_follow_schema records its REFRESH.';
    elsif exists (
        select from cacheaside.parts(relation) as part join pg_class on oid = part where relkind not in ('r', 'p')
    ) then
        raise 'cannot watch %: its rows, or some of them, are stored elsewhere and can change there', relation;
    elsif exists (
        select from cacheaside.parts(relation) as part join pg_class on oid = part where relpersistence <> 'p'
    ) then
        raise 'cannot watch %: it is not a permanent table, and a crash can empty it', relation;
    elsif found.relkind = 'r' and exists (select from pg_inherits where relation in (inhrelid, inhparent)) then
        raise 'cannot watch %: it inherits, or is inherited from', relation
            using hint = 'Partitioned tables can be watched.';
    elsif exists (select from cacheaside.parts(relation) as part join pg_subscription_rel on srrelid = part) then
        raise 'cannot watch %: a subscription writes to it, which does not fire its triggers', relation
            using hint = 'Watch it where it is published, or give its answers a short ttl.';
    elsif found.nspname in ('cacheaside', 'pg_catalog', 'information_schema') then
        raise 'cannot watch %: it is a system table', relation;
    elsif found.relname !~ '^[a-z_][a-z0-9_$]*$' or found.nspname !~ '^[a-z_][a-z0-9_$]*$' then
        raise 'cannot watch %: a tag has lower-case letters, digits, _ and $', relation;
    end if;
end
$$;
