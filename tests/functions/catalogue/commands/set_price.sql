-- summary = "Sets the price of a product"
-- returns = "one"
-- params.id    = { type = "integer", min = 1, example = 42, description = "number of the product" }
-- params.price = { type = "number", min = 0, max = 99999999.99, example = 9.99, description = "the new price" }
update products
set price = %(price)s
where id = %(id)s
returning id, name, price
