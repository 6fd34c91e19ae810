"""The visitors' tables in Postgres, or SQLite where that is what there is."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL

from .visitors import Key

_metadata = MetaData()
_counts = Table(
    "visitor_counts",
    _metadata,
    Column("source", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("caller_kind", Text, primary_key=True),
    Column("caller", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
# What releases counted that did not tell callers apart. It stays as it is, and is added to every total: while
# replicas are replaced one after the other, an older one still counts into it.
_before = Table(
    "visitors",
    _metadata,
    Column("model", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
_INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_LARGER = {"postgresql": func.greatest, "sqlite": func.max}
_ROWS = 500


class SqlStore:
    """Saving is one transaction of upserts that only ever raise a count: repeated, it changes nothing."""

    def __init__(self, url: URL):
        backend = url.get_backend_name()
        if backend not in _INSERTS:
            raise ValueError(f"visitors are kept in Postgres or SQLite, not in {backend}")
        self._engine = _engine(url)
        self._insert, self._larger = _INSERTS[backend], _LARGER[backend]
        self._tables_exist = False

    def save(self, source: str, counts: dict[Key, int]) -> None:
        columns = ("model", "version", "caller_kind", "caller")
        rows = [
            {"source": source, **dict(zip(columns, key, strict=True)), "count": count}
            for key, count in sorted(counts.items())
        ]
        self._ensure_tables()
        with self._engine.begin() as connection:
            for start in range(0, len(rows), _ROWS):
                insert = self._insert(_counts).values(rows[start : start + _ROWS])
                larger = self._larger(_counts.c.count, insert.excluded.count)
                connection.execute(
                    insert.on_conflict_do_update(index_elements=["source", *columns], set_={"count": larger})
                )

    def others(self, source: str) -> dict[Key, int]:
        nobody = literal("").label("caller_kind"), literal("").label("caller")
        key = (_counts.c.model, _counts.c.version, _counts.c.caller_kind, _counts.c.caller)
        own_kind = select(*key, func.sum(_counts.c.count)).where(_counts.c.source != source).group_by(*key)
        before = select(_before.c.model, _before.c.version, *nobody, _before.c.count)
        self._ensure_tables()
        with self._engine.connect() as connection:
            found: dict[Key, int] = {}
            for *one, count in connection.execute(union_all(own_kind, before)):
                model, version, kind, caller = one
                found[model, version, kind, caller] = found.get((model, version, kind, caller), 0) + int(
                    count
                )
            return found

    def close(self) -> None:
        self._engine.dispose()

    def _ensure_tables(self) -> None:
        if self._tables_exist:
            return
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # CREATE TABLE IF NOT EXISTS of two replicas at once can still collide in Postgres' catalogue.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('slipway.visitors'))")
            _metadata.create_all(connection, checkfirst=True)
        self._tables_exist = True


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
