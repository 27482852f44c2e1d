-- summary = "A query that its timeout ends"
-- ttl     = "60s"
-- timeout = "200ms"
-- returns = "one"
-- tags    = ["pg_sleep"]
-- verify  = false
-- params.seconds = { type = "integer", default = 5 }
select %(seconds)s as seconds from pg_sleep(%(seconds)s)
