-- Watching names.
--   watch      is called by migrations, and by the owner
--   unwatch    is called by the owner
--   declare    is called by the migrate function and `make run`, after the check of the catalogue
--   undeclare  is called by the migrate function in a rollback
-- They call unwatchable (0009_recorded.sql) and follow (0010_follow.sql).

-- Has every change behind a name recorded, from now on and whatever takes the name later, and returns its tag. Raises
-- an exception if changes could go unrecorded.
create function cacheaside.watch(relation regclass) returns text
    language plpgsql
as $$
declare
    watched constant text := cacheaside.tag(relation);
    reason  text := cacheaside.unwatchable(relation);
begin
    if reason is not null then
        raise 'cannot watch %: %', relation, reason;
    end if;
    -- One session at a time, also if the name is watched already.
    insert into cacheaside.names (tag, key) values (watched, cacheaside.key(relation))
    on conflict (tag) do update set tag = excluded.tag;
    perform cacheaside.follow();
    select problem into reason from cacheaside.names where tag = watched;
    if reason is not null then
        raise 'cannot watch %: %', relation, reason;
    end if;
    -- Earlier changes may not have been recorded.
    perform cacheaside.record(watched);
    return watched;
end
$$;

-- Stops recording the changes behind a name. Answers made from it then live as long as their ttl says.
create function cacheaside.unwatch(name text) returns void
    language plpgsql
as $$
declare
    relation constant regclass := to_regclass(name);
begin
    if exists (select from pg_class where oid = relation and relispartition)
       and not exists (select from cacheaside.names where tag = name) then
        raise 'cannot unwatch %: it is a partition', name
            using hint = format('Unwatch %s.', pg_partition_root(relation));
    end if;
    delete from cacheaside.names where tag = name;
    if not found then
        delete from cacheaside.names where tag = cacheaside.tag(relation);
    end if;
    if not found then
        raise 'cannot unwatch %: it is not watched', name;
    end if;
    perform cacheaside.follow();
end
$$;

-- Tells which tags the queries declare that are now being deployed, and that the check has compared them with what they
-- read.
create function cacheaside.declare(tags text[]) returns void
    language plpgsql
as $$
declare
    former_code_has_ended constant timestamptz := now() + interval '1 hour';
begin
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

-- Takes back what the last `declare` announced: its deployment is rolled back, and the former code runs on.
create function cacheaside.undeclare() returns void
    language sql
begin atomic
    delete from cacheaside.sources where valid_from > now();
    update cacheaside.sources set valid_until = 'infinity' where valid_until < 'infinity';
    update cacheaside.names set key_valid_from = 'infinity' where key_valid_from > now();
end;
