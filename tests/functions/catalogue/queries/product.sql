-- summary = "One product, and how often it was sold"
-- ttl     = "60s"
-- stale   = "10m"
-- returns = "one"
-- tags    = ["products:{id}", "order_items"]
-- params.id = { type = "integer", min = 1, example = 42, description = "number of the product" }
select id, sku, name, category, price,
    (select coalesce(sum(quantity), 0) from order_items where product_id = products.id) as sold
from products
where id = %(id)s
