-- rows = 0.5
with people as (
    select
        id,
        pg_temp.pick(array[
            'Ada', 'Alan', 'Amina', 'Aiko', 'Ben', 'Björn', 'Carla', 'Chen', 'Daria', 'Diego', 'Elif', 'Emma', 'Farid',
            'Femke', 'Giulia', 'Grace', 'Hana', 'Hugo', 'Ines', 'Ivan', 'Jana', 'João', 'Kofi', 'Lena', 'Liam', 'Lucía',
            'Mateo', 'Mei', 'Nadia', 'Noah', 'Olga', 'Omar', 'Paula', 'Priya', 'Rosa', 'Sam', 'Sofia', 'Tomás', 'Yara', 'Zoë'
        ], id, 1) as first_name,
        pg_temp.pick(array[
            'Adeyemi', 'Andersen', 'Bauer', 'Bianchi', 'Brown', 'Costa', 'Demir', 'Dubois', 'Eriksen', 'Ferrari', 'Fischer',
            'García', 'Haddad', 'Hoffmann', 'Ivanova', 'Jansen', 'Kim', 'Kowalski', 'Kumar', 'Lopez', 'Martin', 'Mensah',
            'Meyer', 'Moreau', 'Murphy', 'Nakamura', 'Novak', 'Okafor', 'Oliveira', 'Patel', 'Petrov', 'Rossi', 'Santos',
            'Schmidt', 'Silva', 'Smith', 'Suzuki', 'Virtanen', 'Wang', 'Yilmaz'
        ], id, 2) as last_name
    from generate_series(%(first)s::bigint, %(last)s::bigint) as id
)
insert into customers (id, name, email, country, created_at) overriding system value
select
    id,
    first_name || ' ' || last_name,
    'customer' || id || '@example.com',
    pg_temp.pick(array[
        'DE', 'DE', 'DE', 'DE', 'FR', 'FR', 'FR', 'GB', 'GB', 'GB', 'ES', 'ES', 'IT', 'IT', 'NL', 'NL', 'PL', 'SE', 'PT', 'IE'
    ], id, 3),
    -- two years of customers before the first order
    timestamptz '2022-01-01 00:00:00+00' + floor(pg_temp.chance(id, 4) * 730 * 86400) * interval '1 second'
from people
