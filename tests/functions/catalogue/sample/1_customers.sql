-- rows = 0.5
insert into customers (id, name, email, country, created_at) overriding system value
select id, 'Customer ' || id, 'customer' || id || '@example.com', pg_temp.pick(array['DE', 'FR', 'GB'], id), timestamptz '2023-01-01 00:00:00+00'
from generate_series(%(first)s::bigint, %(last)s::bigint) as id
