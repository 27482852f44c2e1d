-- summary = "Each type of parameter, and each rule"
-- ttl     = "60s"
-- returns = "one"
-- tags    = []
-- params.flag  = { type = "boolean", default = true, description = "a choice of two" }
-- params.day   = { type = "date", default = "2025-06-15", min = "2025-01-01", max = "2025-12-31" }
-- params.at    = { type = "timestamp", default = "2025-06-15T10:30:00Z" }
-- params.size  = { type = "enum", values = ["s", "m", "l"], default = "m" }
-- params.sizes = { type = "enum[]", values = ["s", "m", "l"], required = false }
-- params.count = { type = "integer", default = 9007199254740993 }
-- params.few   = { type = "integer", default = 5, min = 1, max = 10 }
-- params.price = { type = "number", default = 1.5, min = 0.01, max = 99.99 }
-- params.code  = { type = "text", default = "ab", pattern = "[a-z]+", max_length = 4 }
-- params.words = { type = "text[]", required = false, max_length = 3 }
-- params.key   = { type = "uuid", required = false }
select
    %(flag)s as flag, %(day)s as day, %(at)s as at, %(size)s::text as size, %(sizes)s::text[] as sizes, %(count)s as count,
    %(few)s as few, %(price)s as price, %(code)s as code, %(words)s as words, %(key)s as key
