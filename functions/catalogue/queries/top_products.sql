-- summary = "Best-selling products since a date"
-- ttl     = "60s"
-- stale   = "10m"
-- timeout = "20s"
-- tags    = ["orders", "order_items", "products"]
-- params.since = { type = "date", default = "2025-01-01", description = "first day counted" }
-- params.limit = { type = "integer", default = 10, min = 1, max = 100, description = "how many products" }
with sales as (
    select
        order_items.product_id,
        sum(order_items.quantity) as quantity,
        sum(order_items.quantity * order_items.unit_price) as revenue
    from orders
    join order_items on order_items.order_id = orders.id
    where orders.placed_at >= %(since)s
      and orders.status <> 'cancelled'
    group by order_items.product_id
    order by quantity desc, product_id
    limit %(limit)s
)
select products.id, products.name, products.category, products.price, sales.quantity, sales.revenue
from sales
join products on products.id = sales.product_id
order by sales.quantity desc, products.id
