"""The table of API keys in Postgres, or SQLite where that is what there is. The keys' texts are not in it."""

from __future__ import annotations

import json

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    MetaData,
    Row,
    Table,
    Text,
    create_engine,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.engine import URL

from doorkeeper.keys import DAY, Key

KEPT_AFTER_EXPIRY = 30 * DAY
"""For so long a key that has expired is still listed."""
REVOKED_AFTER_EXPIRY = DAY
"""For so long it is still published as revoked, to replicas whose clocks are behind."""

_keys = Table(
    "api_keys",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("kid", Text, nullable=False),
    Column("revoked", BigInteger),
    Column("revoked_by", Text),
)


class TooMany(Exception):
    """The owner has as many keys as one may have."""


class NameTaken(Exception):
    """Another owner has a live key of this name."""


class KeyStore:
    """Safe to use from any thread. What goes wrong in the database is a SQLAlchemyError."""

    def __init__(self, url: URL) -> None:
        self._engine = _engine(url)
        self._table_exists = False

    def add(self, key: Key, limit: int) -> None:
        """Keep a new key, and forget those that expired long ago; raises TooMany or NameTaken.

        An owner may have two keys of one name, to replace one by the other without a pause. The limit counts
        revoked keys until they expire, since so long they are published.
        """
        now = key.created
        owners = select(_keys.c.owner).where(
            _keys.c.name == key.name, _keys.c.expires > now, _keys.c.revoked.is_(None)
        )
        unexpired = select(func.count()).where(_keys.c.owner == key.owner, _keys.c.expires > now)
        self._ensure_table()
        with self._engine.begin() as connection:
            connection.execute(delete(_keys).where(_keys.c.expires <= now - KEPT_AFTER_EXPIRY))
            if any(owner != key.owner for owner in connection.scalars(owners)):
                raise NameTaken
            if connection.scalar(unexpired) >= limit:
                raise TooMany
            row = {**vars(key), "models": json.dumps(key.models)}
            connection.execute(_keys.insert().values(row))

    def all(self, owner: str | None = None) -> list[Key]:
        """Every key that is still listed, the latest first; of one owner, or of all."""
        wanted = select(_keys).order_by(_keys.c.created.desc(), _keys.c.id)
        return self._read(wanted if owner is None else wanted.where(_keys.c.owner == owner))

    def get(self, key_id: str) -> Key | None:
        return next(iter(self._read(select(_keys).where(_keys.c.id == key_id))), None)

    def revoke(self, key_id: str, by: str, now: int) -> None:
        """From now on it is revoked; what was revoked before stays as it was."""
        self._ensure_table()
        with self._engine.begin() as connection:
            connection.execute(
                update(_keys)
                .where(_keys.c.id == key_id, _keys.c.revoked.is_(None))
                .values(revoked=now, revoked_by=by)
            )

    def revoked(self, now: int) -> list[Key]:
        """Those that would open a door if nobody were told."""
        return self._read(
            select(_keys)
            .where(_keys.c.revoked.is_not(None), _keys.c.expires > now - REVOKED_AFTER_EXPIRY)
            .order_by(_keys.c.id)
        )

    def close(self) -> None:
        self._engine.dispose()

    def _read(self, query) -> list[Key]:
        self._ensure_table()
        with self._engine.connect() as connection:
            return [_key(row) for row in connection.execute(query)]

    def _ensure_table(self) -> None:
        if self._table_exists:
            return
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # CREATE TABLE IF NOT EXISTS of two processes at once can still collide in the catalogue.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('slipway.api_keys'))")
            _keys.metadata.create_all(connection, checkfirst=True)
        self._table_exists = True


def _key(row: Row) -> Key:
    values = row._asdict()
    del values["revoked_by"]
    return Key(**{**values, "models": tuple(json.loads(values["models"]))})


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return create_engine(url, connect_args={"timeout": 5})
    # A database that hangs must not hold a request for ever: bounded connecting, statements and dead peers.
    return create_engine(
        url,
        pool_size=2,
        max_overflow=3,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "options": "-c statement_timeout=5000",
            "keepalives_idle": 10,
            "tcp_user_timeout": 10_000,
        },
    )
