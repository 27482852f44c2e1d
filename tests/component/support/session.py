"""A session that writes to the database and reads the changes that this recorded in the outbox."""

from __future__ import annotations

import subprocess
from typing import Any

import psycopg2

from local.servers.postgres import PostgresServer


class Session:
    """A connection to an upgraded database. Each call is a transaction of its own."""

    def __init__(self, postgres: PostgresServer, database: str, role: str = "postgres") -> None:
        self._postgres = postgres
        self._database = database
        self._connection = psycopg2.connect(postgres.url_for(role, database))
        self._connection.autocommit = True

    def run(self, statements: str) -> list[tuple[Any, ...]]:
        """Run statements and return the rows of the last one."""
        with self._connection.cursor() as cursor:
            cursor.execute(statements)
            return list(cursor.fetchall()) if cursor.description else []

    def changes(self, *transactions: str) -> list[str]:
        """Run the transactions and return the changes that they recorded, ordered by name."""
        self.run("delete from cacheaside.outbox")
        for statements in transactions:
            self.run(statements)
        return [change for (change,) in self.run("select change from cacheaside.outbox order by 1")]

    def psql(self, script: str) -> None:
        """Run a script with psql. The driver cannot COPY after the library has set its own wait callback."""
        command = [str(self._postgres.programs / "psql"), "-qX", "-v", "ON_ERROR_STOP=1", self.url]
        subprocess.run(command, input=script, text=True, capture_output=True, check=True)

    @property
    def url(self) -> str:
        return self._postgres.url_for("postgres", self._database)

    @property
    def notices(self) -> str:
        """The notices of the server since the last call."""
        text = "".join(self._connection.notices)
        self._connection.notices.clear()
        return text

    def another(self, role: str = "postgres") -> Session:
        return Session(self._postgres, self._database, role)

    def close(self) -> None:
        self._connection.close()
