-- How a command of the catalogue is run.
-- Called by the command function, as cacheaside_command (drivers/postgres/commands.py). Calls nothing.

-- Runs one statement and returns its rows as JSON. A query could be wrapped in a subquery, but a statement that changes
-- data cannot. So this function lets PostgreSQL, and not a driver, render the rows of "returning".
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
