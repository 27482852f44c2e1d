-- summary = "Best-selling products since a date"
-- ttl     = "60s"
-- stale   = "10m"
-- timeout = "20s"
-- tags    = ["orders", "order_items", "products"]
-- params.since = { type = "date", default = "2025-01-01", description = "first day counted" }
-- params.limit = { type = "integer", default = 10, min = 1, max = 100, description = "how many products" }
select products.id, name, category, price, sum(quantity) as quantity, sum(quantity * unit_price) as revenue
from orders
join order_items on order_id = orders.id
join products on products.id = product_id
where placed_at >= %(since)s and status <> 'cancelled'
group by products.id
order by quantity desc, products.id
limit %(limit)s
