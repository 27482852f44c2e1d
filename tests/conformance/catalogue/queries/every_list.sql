-- summary = "Lists of every type"
-- ttl     = "5s"
-- returns = "one"
-- tags    = ["things"]
-- params.ids     = { type = "integer[]", min = 1, max_length = 5, example = [1, 2] }
-- params.amounts = { type = "number[]", required = false }
-- params.labels  = { type = "text[]", required = false, max_length = 3 }
-- params.days    = { type = "date[]", required = false }
-- params.codes   = { type = "uuid[]", required = false }
-- params.moods   = { type = "enum[]", values = ["calm", "glad", "sad"], required = false }
-- params.flags   = { type = "boolean[]", required = false }
select
    things.id,
    %(amounts)s::numeric[] as amounts,
    %(labels)s::text[] as labels,
    %(days)s::date[] as days,
    %(codes)s::uuid[] as codes,
    %(moods)s::text[] as moods,
    %(flags)s::boolean[] as flags
from things
where things.id = any (%(ids)s)
order by things.id
limit 1
