-- The shape of Chinook: see README.md. 2,000 customers, 20,000 invoices, 100,000 lines.

create table "Artist" ("ArtistId" integer primary key, "Name" varchar(120));
create table "Album" (
    "AlbumId"  integer primary key,
    "Title"    varchar(160) not null,
    "ArtistId" integer not null references "Artist"
);
create table "Genre" ("GenreId" integer primary key, "Name" varchar(120));
create table "MediaType" ("MediaTypeId" integer primary key, "Name" varchar(120));
create table "Track" (
    "TrackId"      integer primary key,
    "Name"         varchar(200) not null,
    "AlbumId"      integer references "Album",
    "MediaTypeId"  integer not null references "MediaType",
    "GenreId"      integer references "Genre",
    "Composer"     varchar(220),
    "Milliseconds" integer not null,
    "UnitPrice"    numeric(10, 2) not null
);
create table "Employee" (
    "EmployeeId" integer primary key,
    "LastName"   varchar(20) not null,
    "FirstName"  varchar(20) not null,
    "ReportsTo"  integer references "Employee"
);
create table "Customer" (
    "CustomerId"   integer primary key,
    "FirstName"    varchar(40) not null,
    "LastName"     varchar(20) not null,
    "Country"      varchar(40),
    "Email"        varchar(60) not null,
    "SupportRepId" integer references "Employee"
);
create table "Invoice" (
    "InvoiceId"      integer primary key,
    "CustomerId"     integer not null references "Customer",
    "InvoiceDate"    timestamp not null,
    "BillingCountry" varchar(40),
    "Total"          numeric(10, 2) not null
);
create table "InvoiceLine" (
    "InvoiceLineId" integer primary key,
    "InvoiceId"     integer not null references "Invoice",
    "TrackId"       integer not null references "Track",
    "UnitPrice"     numeric(10, 2) not null,
    "Quantity"      integer not null
);
create table "Playlist" ("PlaylistId" integer primary key, "Name" varchar(120));
create table "PlaylistTrack" (
    "PlaylistId" integer references "Playlist",
    "TrackId"    integer references "Track",
    primary key ("PlaylistId", "TrackId")
);

insert into "Artist" select n, 'Artist ' || n from generate_series(1, 200) as n;
insert into "Album" select n, 'Album ' || n, 1 + n % 200 from generate_series(1, 600) as n;
insert into "Genre" select n, (array['Rock', 'Jazz', 'Metal', 'Blues', 'Latin'])[n] from generate_series(1, 5) as n;
insert into "MediaType" values (1, 'MPEG audio file'), (2, 'AAC audio file');
insert into "Track"
select n, 'Track ' || n, 1 + n % 600, 1 + n % 2, 1 + n % 5, 'Composer ' || n % 300, 60000 + n * 37 % 400000, 0.99
from generate_series(1, 6000) as n;
insert into "Employee" values (1, 'Adams', 'Andrea', null), (2, 'Peacock', 'Jo', 1), (3, 'Park', 'Min', 1);
insert into "Customer"
select n, 'First ' || n, 'Last ' || n, (array['Germany', 'Brazil', 'France', 'India'])[1 + n % 4], n || '@example.com', 2 + n % 2
from generate_series(1, 2000) as n;
insert into "Invoice"
select n, 1 + n % 2000, timestamp '2025-01-01' + n * interval '20 minutes', 'Germany', 4.95 from generate_series(1, 20000) as n;
insert into "InvoiceLine"
select n, 1 + n % 20000, 1 + n * 7919 % 6000, 0.99, 1 + n % 3 from generate_series(1, 100000) as n;
insert into "Playlist" values (1, 'Music'), (2, 'Evening');
insert into "PlaylistTrack" select 1 + n % 2, n from generate_series(1, 3000) as n;

create index "IFK_InvoiceCustomerId" on "Invoice" ("CustomerId");
create index "IFK_InvoiceLineTrackId" on "InvoiceLine" ("TrackId");
create index "IFK_AlbumArtistId" on "Album" ("ArtistId");
create index "IFK_TrackAlbumId" on "Track" ("AlbumId");
analyze;
