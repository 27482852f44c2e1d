-- rows = 1
with categories (category, nouns, cheapest, dearest) as (
    values
        ('Kitchen',  array['Saucepan', 'Chef Knife', 'Cutting Board', 'Kettle', 'Mixing Bowl', 'Coffee Grinder'],     8,  180),
        ('Garden',   array['Watering Can', 'Pruner', 'Planter', 'Lantern', 'Bird Feeder', 'Garden Bench'],            6,  240),
        ('Office',   array['Desk Lamp', 'Notebook', 'Desk Organizer', 'Monitor Stand', 'Pen Set', 'Office Chair'],    3,  320),
        ('Outdoors', array['Backpack', 'Water Bottle', 'Tent', 'Sleeping Bag', 'Headlamp', 'Camp Stove'],            12,  380),
        ('Home',     array['Throw Blanket', 'Picture Frame', 'Vase', 'Wall Clock', 'Floor Lamp', 'Side Table'],      10,  260),
        ('Audio',    array['Headphones', 'Speaker', 'Turntable', 'Microphone', 'Earbuds', 'Radio'],                  19,  450),
        ('Toys',     array['Puzzle', 'Building Blocks', 'Kite', 'Train Set', 'Board Game', 'Marble Run'],             5,   90),
        ('Apparel',  array['Rain Jacket', 'Sweater', 'Scarf', 'Socks', 'Cap', 'Canvas Shoes'],                        7,  160)
),
numbered as (
    select *, row_number() over (order by category) - 1 as number from categories
)
insert into products (id, sku, name, category, price, created_at) overriding system value
select
    id,
    'SKU-' || lpad(id::text, 7, '0'),
    concat_ws(
        ' ',
        pg_temp.pick(array['Classic', 'Compact', 'Everyday', 'Folding', 'Light', 'Modern', 'Nordic', 'Studio', 'Travel', 'Vintage'], id, 1),
        pg_temp.pick(array['Ash', 'Bamboo', 'Blue', 'Copper', 'Cork', 'Green', 'Grey', 'Linen', 'Oak', 'Red', 'Steel', 'White'], id, 2),
        pg_temp.pick(nouns, id, 3)
    ),
    category,
    -- the square makes cheap products common and dear ones rare
    floor(cheapest + (dearest - cheapest) * pg_temp.chance(id, 4) * pg_temp.chance(id, 4))::numeric
        + pg_temp.pick(array[0.00, 0.49, 0.50, 0.90, 0.95, 0.99, 0.99, 0.99], id, 5),
    timestamptz '2022-01-01 00:00:00+00' + floor(pg_temp.chance(id, 6) * 730 * 86400) * interval '1 second'
from generate_series(%(first)s::bigint, %(last)s::bigint) as id
join numbered on number = floor(pg_temp.chance(id, 7) * 8)
