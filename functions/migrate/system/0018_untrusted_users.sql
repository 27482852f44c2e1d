-- Other users of the database may create functions in public, and may set any setting.
--   watch, unwatch, declare   call functions by names without a schema: a function of another user was run with the
--                             owner's rights
--   following                 "a trigger is being created" was a setting, which every session can have. Now it has a
--                             value that only the owner knows

-- Their errors print names as the caller writes them, so they keep the path of the session.
do $do$
declare
    each       regproc;
    name       text;
    definition text;
begin
    foreach each in array array['cacheaside.watch', 'cacheaside.unwatch']::regproc[] loop
        definition := pg_get_functiondef(each);
        foreach name in array array['string_agg', 'format', 'unnest', 'array_to_string'] loop
            definition := replace(definition, name || '(', 'pg_catalog.' || name || '(');
        end loop;
        execute definition;
    end loop;
end
$do$;

alter function cacheaside.declare(text[]) set search_path = pg_catalog, pg_temp;

create table cacheaside.following (
    only_row boolean primary key default true check (only_row),
    token    text not null default gen_random_uuid()::text
);
insert into cacheaside.following default values;

-- All of these functions stays, but for the value.
do $do$
declare
    each record;
    former text;
begin
    for each in
        select * from (values
            ('follow', $$'cacheaside.following', 'on', true$$,
             $$'cacheaside.following', (select token from cacheaside.following), true$$),
            ('follow_schema', $$current_setting('cacheaside.following', true) = 'on'$$,
             $$current_setting('cacheaside.following', true) = (select token from cacheaside.following)$$),
            ('follow_drop', $$current_setting('cacheaside.following', true) = 'on'$$,
             $$current_setting('cacheaside.following', true) = (select token from cacheaside.following)$$)
        ) as function (name, written, now)
    loop
        former := pg_get_functiondef(('cacheaside.' || each.name)::regproc);
        if strpos(former, each.written) = 0 then
            raise 'cacheaside.% is not that of the files before this one', each.name;
        end if;
        execute replace(former, each.written, each.now);
    end loop;
end
$do$;
