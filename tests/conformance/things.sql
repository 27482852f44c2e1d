-- What the conformance tests ask for, beside the shop: a table with a column of every type of parameter.
create type mood as enum ('calm', 'glad', 'sad');

create table things (
    id bigint generated always as identity primary key,
    label text not null unique check (label <> ''),
    amount numeric not null check (amount >= 0),
    mood mood not null,
    made_on date,
    made_at timestamptz,
    code uuid,
    active boolean,
    sizes bigint[],
    about jsonb
);

insert into things (label, amount, mood, made_on, made_at, code, active, sizes, about)
values
    ('first', 1.50, 'calm', '2025-01-31', '2025-01-31 12:00:00+00', '0e37df36-f698-11e6-8dd4-cb9ced3df976', true, '{1,2}', '{"a": [1]}'),
    ('second', 'NaN', 'glad', null, null, null, null, null, null);

select cacheaside.watch('things');
grant select on things to cacheaside_query, cacheaside_command;
grant insert, update on things to cacheaside_command;

-- The sleep of five seconds is for people. Here each call without the cache would take it.
create or replace function slow_version() returns text
language sql volatile parallel safe as 'select version()';
