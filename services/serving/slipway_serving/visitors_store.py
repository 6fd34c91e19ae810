"""The visitors' table in Postgres, or SQLite where that is what there is."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Engine, MetaData, Table, Text, create_engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL

from .visitors import Key

_table = Table(
    "visitors",
    MetaData(),
    Column("model", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
_INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class SqlStore:
    """Increments are one upsert in one transaction, so replicas add up and a failure adds nothing."""

    def __init__(self, url: URL):
        if url.get_backend_name() not in _INSERTS:
            raise ValueError(f"visitors are kept in Postgres or SQLite, not in {url.get_backend_name()}")
        self._engine = _engine(url)
        self._insert = _INSERTS[url.get_backend_name()]
        self._table_exists = False

    def add(self, increments: dict[Key, int]) -> None:
        insert = self._insert(_table).values(
            # In one order everywhere: two replicas that lock the same rows cannot wait for each other.
            [{"model": m, "version": v, "count": n} for (m, v), n in sorted(increments.items())]
        )
        upsert = insert.on_conflict_do_update(
            index_elements=["model", "version"], set_={"count": _table.c.count + insert.excluded.count}
        )
        self._ensure_table()
        with self._engine.begin() as connection:
            connection.execute(upsert)

    def totals(self) -> dict[Key, int]:
        self._ensure_table()
        with self._engine.connect() as connection:
            return {(row.model, row.version): int(row.count) for row in connection.execute(select(_table))}

    def close(self) -> None:
        self._engine.dispose()

    def _ensure_table(self) -> None:
        if self._table_exists:
            return
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # CREATE TABLE IF NOT EXISTS of two replicas at once can still collide in Postgres' catalogue.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('slipway.visitors'))")
            _table.metadata.create_all(connection, checkfirst=True)
        self._table_exists = True


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return create_engine(url, connect_args={"timeout": 5})
    # A database that hangs must not hold a flush for ever: bounded connecting, statements and dead peers.
    return create_engine(
        url,
        pool_size=1,
        max_overflow=1,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "options": "-c statement_timeout=5000",
            "keepalives_idle": 10,
            "tcp_user_timeout": 10_000,
        },
    )
