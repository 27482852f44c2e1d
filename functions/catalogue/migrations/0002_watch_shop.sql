-- Triggers record every change of these tables, so that the answers made from them are invalidated.
select cacheaside.watch('customers'), cacheaside.watch('products');
select cacheaside.watch('orders'), cacheaside.watch('order_items');
