-- What PostgreSQL says about the statements of the catalogue: the columns of their rows, asked once, at deployment.
-- Written by the migrate function, read by the query function for GET /openapi.json. Of type json, not jsonb: it keeps
-- the order of properties, and what it says of names is of any encoding.

create table cacheaside.described (
    place        text,                  -- queries/product
    fingerprint  text,                  -- of the statement: former code finds its own row, also after a rollback
    columns      json not null,         -- [[name, type, JSON Schema, example], ...]
    touches      json not null,         -- by tag, a statement that changes nothing and invalidates the tag
    described_at timestamptz not null default now(),
    primary key (place, fingerprint)
);

-- The functions of this schema that act with the rights of its owner are executable by none but the roles they name.
grant usage on schema cacheaside to cacheaside_query;
grant select on cacheaside.described to cacheaside_query;
