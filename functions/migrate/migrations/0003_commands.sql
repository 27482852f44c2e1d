-- What the command function needs in order to write.

-- Runs one statement and returns its rows as JSON. A statement that changes data cannot be a subquery of another,
-- so this is how PostgreSQL, and not a driver, gets to render what "returning" returns.
create function cacheaside.run_command(statement text) returns setof json
    language plpgsql
    security invoker
as $$
declare
    result record;
begin
    for result in execute statement loop
        return next row_to_json(result);
    end loop;
exception
    when invalid_cursor_definition then
        raise invalid_cursor_definition using
            message = sqlerrm,
            hint = 'A command is one statement that returns rows: end it with "returning", or select from it.';
end
$$;

revoke execute on function cacheaside.run_command from public;
grant execute on function cacheaside.run_command to cacheaside_command;

grant select on products, orders, order_items to cacheaside_command;
grant insert on orders, order_items to cacheaside_command;
grant update (price) on products to cacheaside_command;
