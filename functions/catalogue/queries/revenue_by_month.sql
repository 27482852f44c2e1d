-- summary = "Revenue, orders and average order value of each month"
-- ttl     = "5m"
-- stale   = "1h"
-- timeout = "20s"
-- tags    = ["orders", "order_items"]
-- params.year = { type = "integer", default = 2025, min = 2000, max = 2100, description = "which year" }
with order_totals as (
    select
        orders.id,
        date_trunc('month', orders.placed_at, 'UTC') as month,
        sum(order_items.quantity * order_items.unit_price) as total
    from orders
    join order_items on order_items.order_id = orders.id
    where orders.placed_at >= make_timestamptz(%(year)s::integer, 1, 1, 0, 0, 0, 'UTC')
      and orders.placed_at < make_timestamptz(%(year)s::integer + 1, 1, 1, 0, 0, 0, 'UTC')
      and orders.status <> 'cancelled'
    group by orders.id
)
select
    to_char(month at time zone 'UTC', 'YYYY-MM') as month,
    count(*) as orders,
    sum(total) as revenue,
    round(avg(total), 2) as average_order
from order_totals
group by order_totals.month
order by order_totals.month
