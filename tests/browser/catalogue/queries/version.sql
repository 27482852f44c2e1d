-- summary = "The version of PostgreSQL, from a query that sleeps a second"
-- ttl     = "60s"
-- returns = "one"
-- tags    = ["pg_sleep"]
-- verify  = false
select version() from pg_sleep(1)
