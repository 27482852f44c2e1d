-- summary = "Values that JavaScript cannot hold, and <b>HTML</b>"
-- ttl     = "60s"
-- tags    = []
-- params.html = { type = "text", default = "<img src=x onerror=alert(1)>" }
select 25.50 as price, 9007199254740993 as id, %(html)s as html
