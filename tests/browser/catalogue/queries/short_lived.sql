-- summary = "The time, fresh for two seconds and stale for a minute"
-- ttl     = "2s"
-- stale   = "1m"
-- returns = "one"
-- tags    = []
-- verify  = false
-- jitter  = 0
-- early_refresh = 0
-- params.id = { type = "integer", default = 1 }
select %(id)s as id, clock_timestamp() as at
