-- summary = "Every type of parameter, with its limits"
-- ttl     = "5s"
-- tags    = ["things"]
-- params.label      = { type = "text", min_length = 1, max_length = 20, example = "first" }
-- params.whole      = { type = "integer", required = false }
-- params.amount     = { type = "number", min = -10.5, max = 1000000, default = 1.5 }
-- params.any_number = { type = "number", required = false }
-- params.active     = { type = "boolean", required = false, example = true }
-- params.made_on    = { type = "date", required = false, example = 2025-01-31 }
-- params.made_at    = { type = "timestamp", required = false, example = "2025-01-31T12:00:00Z" }
-- params.code       = { type = "uuid", required = false }
-- params.mood       = { type = "enum", values = ["calm", "glad", "sad"], required = false }
-- params.sku        = { type = "text", pattern = "[A-Z]{2}-\\d{3,5}", required = false }
-- params.free       = { type = "text", required = false }
select
    things.*,
    %(whole)s::bigint as whole,
    %(any_number)s::numeric as any_number,
    %(active)s::boolean as was_active,
    %(made_on)s::date as was_made_on,
    %(made_at)s::timestamptz as was_made_at,
    %(code)s::uuid as was_code,
    %(sku)s::text as sku,
    %(free)s::text as free
from things
where (label = %(label)s or amount >= %(amount)s)
  and (%(mood)s::mood is null or mood = %(mood)s::mood)
