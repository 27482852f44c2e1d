create or replace function pg_temp.pick(options text[], id bigint) returns text
    language sql immutable
as $$ select options[1 + id % cardinality(options)] $$;
