-- rows = 1
insert into products (id, sku, name, category, price, created_at) overriding system value
select
    id,
    'SKU-' || lpad(id::text, 7, '0'),
    'Product ' || id,
    pg_temp.pick(array['Garden', 'Kitchen'], id),
    1 + id %% 100,
    timestamptz '2023-01-01 00:00:00+00'
from generate_series(%(first)s::bigint, %(last)s::bigint) as id
