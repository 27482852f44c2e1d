-- rows = 10
with drawn as (
    select
        id,
        -- Some customers come often and most rarely; a prime, which shares no factor with any size, spreads them.
        1 + floor(pg_temp.chance(id, 1) * pg_temp.chance(id, 1) * %(customers)s)::bigint * 2147483647 %% %(customers)s as customer_id,
        -- From 2024-01-01 to 2025-12-31 in the order of the ids. The root makes the last day three times as busy as the first.
        timestamptz '2024-01-01 00:00:00+00' + interval '1 second' * floor(
            731 * 86400 * (sqrt(1 + 8 * (id - pg_temp.chance(id, 2)) / %(orders)s) - 1) / 2
        ) as placed_at,
        pg_temp.pick(array[1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 6, 8], id, 3) as lines
    from generate_series(%(first)s::bigint, %(last)s::bigint) as id
),
new_orders as (
    insert into orders (id, customer_id, status, placed_at) overriding system value
    select
        id,
        customer_id,
        case
            when pg_temp.chance(id, 4) < 0.04 then 'cancelled'
            when placed_at >= timestamptz '2025-12-31 00:00:00+00' then 'placed'
            when placed_at >= timestamptz '2025-12-30 00:00:00+00' then 'paid'
            when placed_at >= timestamptz '2025-12-27 00:00:00+00' then 'shipped'
            else 'delivered'
        end,
        placed_at
    from drawn
),
drawn_items as (
    select
        drawn.id as order_id,
        line,
        -- The third power is the long tail: one product in a hundred makes a fifth of the sales.
        1 + floor(luck * luck * luck * %(products)s)::bigint * 2147483647 %% %(products)s as product_id,
        pg_temp.pick(array[1, 1, 1, 1, 1, 1, 1, 2, 2, 3], drawn.id * 8 + line, 6) as quantity
    from drawn
    cross join generate_series(1, lines) as line
    cross join lateral (select pg_temp.chance(drawn.id * 8 + line, 5) as luck) as draw
)
insert into order_items (order_id, line, product_id, quantity, unit_price)
select order_id, line, product_id, quantity, price
from drawn_items
join products on products.id = product_id
