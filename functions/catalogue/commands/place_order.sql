-- summary = "Places an order at the prices of now"
-- returns = "one"
-- params.customer_id = { type = "integer", min = 1, example = 7, description = "number of the customer" }
-- params.product_ids = { type = "integer[]", min = 1, min_length = 1, max_length = 50, example = [1, 2], description = "what is ordered" }
-- params.quantities  = { type = "integer[]", min = 1, max = 1000, min_length = 1, max_length = 50, example = [2, 1], description = "how many of each, in the same order" }
with wanted as (
    -- A list that is longer than the other leaves a null, and the line that it makes is refused.
    select line, product_id, quantity
    from unnest(%(product_ids)s::bigint[], %(quantities)s::integer[]) with ordinality as list (product_id, quantity, line)
),
placed as (
    insert into orders (customer_id)
    values (%(customer_id)s)
    returning id, customer_id, status, placed_at
),
lines as (
    insert into order_items (order_id, line, product_id, quantity, unit_price)
    select placed.id, wanted.line, wanted.product_id, wanted.quantity, coalesce(products.price, 0)
    from placed
    cross join wanted
    -- A product that does not exist has no price. It is the reference to it that is refused, and with it the order.
    left join products on products.id = wanted.product_id
    returning quantity * unit_price as amount
)
select placed.id, placed.customer_id, placed.status, placed.placed_at, sum(lines.amount) as total
from placed
cross join lines
group by placed.id, placed.customer_id, placed.status, placed.placed_at
