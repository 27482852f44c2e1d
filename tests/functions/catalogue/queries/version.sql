-- summary = "The version of PostgreSQL, from a function that sleeps"
-- ttl     = "60s"
-- timeout = "20s"
-- returns = "one"
-- tags    = ["slow_version"]
-- verify  = false
select slow_version() as version
