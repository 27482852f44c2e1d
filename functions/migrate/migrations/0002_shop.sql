-- The sample: a shop, and the slow function that the challenge came with.

create table customers (
    id         bigint generated always as identity primary key,
    name       text not null,
    email      text not null unique,
    country    text not null check (country ~ '^[A-Z]{2}$'),
    created_at timestamptz not null default now()
);

create table products (
    id         bigint generated always as identity primary key,
    sku        text not null unique,
    name       text not null,
    category   text not null,
    price      numeric(10, 2) not null check (price >= 0),
    created_at timestamptz not null default now()
);

create table orders (
    id          bigint generated always as identity primary key,
    customer_id bigint not null references customers,
    status      text not null default 'placed'
                check (status in ('placed', 'paid', 'shipped', 'delivered', 'cancelled')),
    placed_at   timestamptz not null default now()
);

create index orders_customer_id_placed_at_idx on orders (customer_id, placed_at desc, id desc);

create table order_items (
    order_id   bigint not null references orders,
    line       integer not null check (line > 0),
    product_id bigint not null references products,
    quantity   integer not null check (quantity > 0),
    unit_price numeric(10, 2) not null check (unit_price >= 0),  -- as it was when the order was placed
    primary key (order_id, line)
);

create index order_items_product_id_idx on order_items (product_id);

-- How far the loader of the sample rows has come. No row: the shop was left empty, or holds someone's own data.
create table cacheaside.sample_load (
    only_row boolean primary key default true check (only_row),
    products bigint not null check (products > 0),
    done     bigint not null default 0
);

create function slow_version() returns text
    language plpgsql
as $$
begin
    perform pg_sleep(5);
    return version();
end
$$;
