-- summary = "Fresh for a second, and kept for errors"
-- ttl     = "1s"
-- stale_if_error = "1h"
-- returns = "one"
-- tags    = []
-- jitter  = 0
-- early_refresh = 0
-- params.id = { type = "integer", default = 1 }
select %(id)s as id
