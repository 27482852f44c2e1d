-- summary = "Places an order at the prices of now"
-- returns = "one"
-- params.customer_id = { type = "integer", min = 1, example = 7 }
-- params.product_ids = { type = "integer[]", min = 1, min_length = 1, max_length = 50, example = [1, 2] }
-- params.quantities  = { type = "integer[]", min = 1, max = 1000, min_length = 1, max_length = 50, example = [2, 1] }
with wanted as (
    select line, product_id, quantity
    from unnest(%(product_ids)s::bigint[], %(quantities)s::integer[]) with ordinality as list (product_id, quantity, line)
),
placed as (insert into orders (customer_id) values (%(customer_id)s) returning id, customer_id, status, placed_at),
lines as (
    insert into order_items (order_id, line, product_id, quantity, unit_price)
    select placed.id, line, product_id, quantity, coalesce(price, 0)
    from placed cross join wanted left join products on products.id = product_id
    returning quantity * unit_price as amount
)
select id, customer_id, status, placed_at, (select sum(amount) from lines) as total
from placed
