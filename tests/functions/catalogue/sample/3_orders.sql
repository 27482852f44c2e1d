-- rows = 10
with placed as (
    insert into orders (id, customer_id, status, placed_at) overriding system value
    select
        id,
        1 + id %% %(customers)s,
        pg_temp.pick(array['placed', 'delivered', 'delivered', 'cancelled'], id),
        timestamptz '2024-01-01 00:00:00+00' + (id - 1) * interval '730 days' / %(orders)s
    from generate_series(%(first)s::bigint, %(last)s::bigint) as id
    returning id
)
insert into order_items (order_id, line, product_id, quantity, unit_price)
select placed.id, line, products.id, line, price
from placed
cross join generate_series(1, 3) as line
join products on products.id = 1 + (placed.id * 7 + line) %% %(products)s
