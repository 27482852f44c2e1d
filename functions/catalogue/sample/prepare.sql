-- Runs at the start of each load: the functions that draw the values of the rows.

-- All random values are hashes of a row's number. So a row is the same on every machine and in any order of loading,
-- without a seed to keep. PostgreSQL cannot change this hash: stored hash partitions and indexes rely on it.
create or replace function pg_temp.chance(id bigint, draw bigint) returns double precision
    language sql immutable
as $$
    -- 52 bits, as many as the fraction of a double holds, so that nothing is rounded
    select (hashint8extended(id, draw) & 4503599627370495) / 4503599627370496::double precision
$$;

create or replace function pg_temp.pick(options anyarray, id bigint, draw bigint) returns anyelement
    language sql immutable
as $$
    select options[1 + floor(pg_temp.chance(id, draw) * cardinality(options))::integer]
$$;
