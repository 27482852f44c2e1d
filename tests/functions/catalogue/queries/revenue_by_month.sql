-- summary = "Revenue of each month"
-- ttl     = "5m"
-- stale   = "1h"
-- timeout = "20s"
-- tags    = ["orders", "order_items"]
-- params.year = { type = "integer", default = 2025, min = 2000, max = 2100, description = "which year" }
select to_char(placed_at at time zone 'UTC', 'YYYY-MM') as month, sum(quantity * unit_price) as revenue
from orders join order_items on order_id = orders.id
where extract(year from placed_at at time zone 'UTC') = %(year)s
group by 1
order by 1
