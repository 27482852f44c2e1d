-- summary = "Latest orders of one customer"
-- ttl     = "30s"
-- stale   = "5m"
-- tags    = ["orders", "order_items"]
-- params.customer_id = { type = "integer", min = 1, example = 7, description = "number of the customer" }
-- params.status      = { type = "enum[]", values = ["placed", "paid", "shipped", "delivered", "cancelled"], required = false, max_length = 5 }
-- params.limit       = { type = "integer", default = 20, min = 1, max = 100 }
select orders.id, placed_at, status, count(*) as lines, sum(quantity * unit_price) as total
from orders join order_items on order_id = orders.id
where customer_id = %(customer_id)s and (%(status)s::text[] is null or status = any (%(status)s::text[]))
group by orders.id
order by orders.id desc
limit %(limit)s
