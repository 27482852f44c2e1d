-- Every change of these tables is recorded, and the answers made from them are invalidated.
select cacheaside.watch('customers'), cacheaside.watch('products'), cacheaside.watch('orders'), cacheaside.watch('order_items');
