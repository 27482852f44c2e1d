-- The catalogue of the tests, benchmarks and proofs. The user's own may hold anything, so none of them uses that one.

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
create table order_items (
    order_id   bigint not null references orders,
    line       integer not null check (line > 0),
    product_id bigint not null references products,
    quantity   integer not null check (quantity > 0),
    unit_price numeric(10, 2) not null check (unit_price >= 0),
    primary key (order_id, line)
);
create index on orders (customer_id);
create index on order_items (product_id);

create function slow_version() returns text
    language plpgsql
as $$ begin perform pg_sleep(0.1); return version(); end $$;

grant select on products, orders, order_items to cacheaside_command;
grant insert on orders, order_items to cacheaside_command;
grant update (price) on products to cacheaside_command;
