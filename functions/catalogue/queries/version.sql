-- summary = "The version of PostgreSQL, the slow way: what the challenge began with"
-- ttl     = "60s"
-- timeout = "20s"
-- returns = "one"
-- tags    = ["slow_version"]
select slow_version() as version
