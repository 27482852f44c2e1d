-- Whoever changes the shop, the answers made from it go.
select cacheaside.watch('customers'), cacheaside.watch('products'), cacheaside.watch('orders'), cacheaside.watch('order_items');
