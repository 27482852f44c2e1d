-- summary = "Adds a thing"
-- returns = "one"
-- params.label   = { type = "text", max_length = 20, example = "third" }
-- params.amount  = { type = "number", example = 9.99 }
-- params.mood    = { type = "enum", values = ["calm", "glad", "sad"], example = "glad" }
-- params.made_on = { type = "date", required = false }
-- params.made_at = { type = "timestamp", required = false }
-- params.code    = { type = "uuid", required = false }
-- params.active  = { type = "boolean", required = false }
-- params.sizes   = { type = "integer[]", required = false, max_length = 4 }
insert into things (label, amount, mood, made_on, made_at, code, active, sizes)
values (
    %(label)s, %(amount)s, %(mood)s, %(made_on)s::date, %(made_at)s::timestamptz, %(code)s::uuid,
    %(active)s::boolean, %(sizes)s::bigint[]
)
returning *
