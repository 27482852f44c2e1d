select cacheaside.watch('customers'), cacheaside.watch('products');
select cacheaside.watch('orders'), cacheaside.watch('order_items');
