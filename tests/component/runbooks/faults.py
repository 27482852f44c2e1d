"""The queries and the schema with which the tests of this folder cause faults."""

from __future__ import annotations

from typing import Final

__all__ = ["COMMANDS", "QUERIES", "SCHEMA"]

_HEAD: Final = '-- summary = "A fault"\n-- ttl = "60s"\n-- tags = ["{tag}"]\n'
_GIFT: Final = '-- params.id = {{ type = "integer" }}\nselect id, price from {table} where id = %(id)s\n'

QUERIES: Final = {
    "slow": _HEAD.format(tag="gifts") + '-- timeout = "300ms"\nselect pg_sleep(60)::text as slept\n',
    "sorted": _HEAD.format(tag="gifts")
    + '-- params.id = { type = "integer" }\n'
    + "select count(*) from (select from generate_series(1, 100000) as n order by md5(%(id)s || n::text)) as sorted\n",
    "raising": _HEAD.format(tag="gifts")
    + '-- params.code = { type = "text", max_length = 5 }\nselect raise_code(%(code)s) as never\n',
    "large": _HEAD.format(tag="gifts") + "select repeat('x', 7000000) as text\n",
    "waiting": _HEAD.format(tag="gifts") + '-- wait = "100ms"\n' + _GIFT.format(table="gifts"),
    "wrong": '-- summary = "A file with a mistake"\n-- ttl = "long"\nselect 1\n',
    "clock": _HEAD.format(tag="gifts") + "select clock_timestamp()::text as now\n",
    "gift": _HEAD.format(tag="gifts") + _GIFT.format(table="gifts"),
    "untagged": _HEAD.format(tag="orders") + _GIFT.format(table="gifts"),
}
COMMANDS: Final = {
    "set_gift": '-- summary = "A price"\n-- timeout = "2s"\n-- params.id = { type = "integer" }\n'
    "update gifts set price = price where id = %(id)s returning id\n",
}
SCHEMA: Final = """
create table gifts (id integer primary key, price integer);
insert into gifts select n, n from generate_series(1, 20) as n;
grant select on gifts to cacheaside_query;
grant select, update on gifts to cacheaside_command;
create role nightly_job login;
grant all on gifts to nightly_job;
select cacheaside.watch('gifts');
create function raise_code(code text) returns text language plpgsql as $$
begin
    raise 'injected' using errcode = code;
end $$"""
