-- The shape of Pagila: see README.md. 1,000 films, 3,000 customers, 60,000 rentals and payments.
-- Everything is in a schema of its own, which the database's setting puts on the search path, as many applications do.

create schema rental_shop;
set search_path = rental_shop;
do $$ begin execute format('alter database %I set search_path = rental_shop, public', current_database()); end $$;

create type mpaa_rating as enum ('G', 'PG', 'PG-13', 'R', 'NC-17');
create domain year as integer check (value between 1901 and 2155);

create table language (language_id integer generated always as identity primary key, name text not null);
create table category (category_id integer generated always as identity primary key, name text not null);
create table actor (
    actor_id    integer generated always as identity primary key,
    first_name  text not null,
    last_name   text not null,
    last_update timestamptz not null default now()
);
create table film (
    film_id          integer generated always as identity primary key,
    title            text not null,
    release_year     year,
    language_id      integer not null references language,
    rental_rate      numeric(4, 2) not null default 4.99,
    length           smallint,
    rating           mpaa_rating default 'G',
    special_features text[],
    last_update      timestamptz not null default now()
);
create table film_actor (
    actor_id integer references actor,
    film_id  integer references film,
    primary key (actor_id, film_id)
);
create table film_category (
    film_id     integer references film,
    category_id integer references category,
    primary key (film_id, category_id)
);
create table store (store_id integer generated always as identity primary key);
create table customer (
    customer_id integer generated always as identity primary key,
    store_id    integer not null references store,
    first_name  text not null,
    last_name   text not null,
    email       text,
    activebool  boolean not null default true
);
create table inventory (
    inventory_id integer generated always as identity primary key,
    film_id      integer not null references film,
    store_id     integer not null references store
);
create table rental (
    rental_id    integer generated always as identity primary key,
    rental_date  timestamptz not null,
    inventory_id integer not null references inventory,
    customer_id  integer not null references customer,
    return_date  timestamptz
);
create table payment (
    payment_id   integer generated always as identity,
    customer_id  integer not null references customer,
    rental_id    integer not null references rental,
    amount       numeric(5, 2) not null,
    payment_date timestamptz not null,
    primary key (payment_date, payment_id)
) partition by range (payment_date);
create table payment_p2026_01 partition of payment for values from ('2026-01-01 00:00+00') to ('2026-02-01 00:00+00');
create table payment_p2026_02 partition of payment for values from ('2026-02-01 00:00+00') to ('2026-03-01 00:00+00');
create table payment_rest partition of payment default;

create function last_updated() returns trigger language plpgsql as $$
begin
    new.last_update = now();
    return new;
end
$$;
create trigger last_updated before update on film for each row execute function last_updated();

insert into language (name) values ('English'), ('Italian'), ('Japanese');
insert into category (name) select unnest(array['Action', 'Comedy', 'Drama', 'Horror', 'Music', 'Sports']);
insert into actor (first_name, last_name) select 'First ' || n, 'Last ' || n from generate_series(1, 200) as n;
insert into film (title, release_year, language_id, rental_rate, length, rating, special_features)
select
    'Film ' || n, 1990 + n % 35, 1 + n % 3, (array[0.99, 2.99, 4.99])[1 + n % 3], 60 + n % 120,
    (enum_range(null::mpaa_rating))[1 + n % 5], array['Trailers', 'Commentaries']
from generate_series(1, 1000) as n;
insert into film_actor select distinct 1 + n * 31 % 200, 1 + n % 1000 from generate_series(1, 5000) as n;
insert into film_category select n, 1 + n % 6 from generate_series(1, 1000) as n;
insert into store default values;
insert into store default values;
insert into customer (store_id, first_name, last_name, email)
select 1 + n % 2, 'First ' || n, 'Last ' || n, n || '@example.org' from generate_series(1, 3000) as n;
insert into inventory (film_id, store_id) select 1 + n % 1000, 1 + n % 2 from generate_series(1, 4000) as n;
insert into rental (rental_date, inventory_id, customer_id, return_date)
select
    timestamptz '2026-01-01 00:00+00' + n * interval '2 minutes', 1 + n * 17 % 4000, 1 + n % 3000,
    timestamptz '2026-01-04 00:00+00' + n * interval '2 minutes'
from generate_series(1, 60000) as n;
insert into payment (customer_id, rental_id, amount, payment_date)
select customer_id, rental_id, 0.99 + rental_id % 5, rental_date from rental;

create index on rental (customer_id);
create index on rental (inventory_id);
create index on inventory (film_id);
create index on payment (customer_id);

create view sales_by_film_category as
select category.name as category, sum(payment.amount) as total_sales
from payment
join rental using (rental_id)
join inventory using (inventory_id)
join film_category using (film_id)
join category using (category_id)
group by category.name;
analyze;
