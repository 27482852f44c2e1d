-- summary = "No row, whatever the number is"
-- ttl     = "60s"
-- returns = "one"
-- tags    = []
-- params.id = { type = "integer", default = 1 }
select %(id)s as id where false
