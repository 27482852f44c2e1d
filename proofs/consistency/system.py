"""The system under test: addresses, settings and catalogue that `run` gives to every process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.settings import Authentication, CacheSettings, DatabaseSettings
from local.servers.postgres import PostgresServer
from proofs.consistency.cache_faults import CacheUnderTest

__all__ = ["SystemUnderTest", "system_under_test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemUnderTest:
    cache: CacheSettings
    confirmed_cache: CacheSettings  # the same, with the number of replicas that the stack knows of
    query: DatabaseSettings
    command: DatabaseSettings
    invalidate: DatabaseSettings
    owner_url: str
    catalogue: Catalogue
    violations: Path  # a file with one line for each, to diagnose them


def system_under_test(
    postgres: PostgresServer, cache: CacheUnderTest, catalogue: Catalogue, folder: Path
) -> SystemUnderTest:
    """Return the system made of these servers. Violations are written to a file in `folder`."""

    def settings(role: str) -> DatabaseSettings:
        return DatabaseSettings(url=postgres.url_for(role), authentication=Authentication.URL, region="")

    return SystemUnderTest(
        cache=cache.settings(),
        confirmed_cache=cache.settings(cache.replicas),
        query=settings("cacheaside_query"),
        command=settings("cacheaside_command"),
        invalidate=settings("cacheaside_invalidate"),
        owner_url=postgres.url,
        catalogue=catalogue,
        violations=folder / "violations",
    )
