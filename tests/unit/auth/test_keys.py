"""What may be asked for, and what is kept: API keys without HTTP and without MLflow."""

from __future__ import annotations

import json

import jwt
import pytest
from doorkeeper.answers import Refused
from doorkeeper.key_settings import read_key_settings
from doorkeeper.key_store import KeyStore, NameTaken, TooMany
from doorkeeper.keys import DAY, Signer, Wanted, make, read_wanted
from doorkeeper.settings import explain
from pydantic import ValidationError
from sqlalchemy.engine import make_url

NOW = 1_800_000_000
SEED = "5e" * 32


@pytest.fixture
def store(tmp_path):
    store = KeyStore(make_url(f"sqlite:///{tmp_path}/keys.db"))
    yield store
    store.close()


def wanted(name: str = "my-app", days: int = 10, models: tuple[str, ...] = ("red-blue",)) -> Wanted:
    return Wanted(name, models, days)


def test_what_is_asked_for_is_read_once_and_models_named_twice_count_once():
    body = json.dumps({"name": "my-app", "models": ["b", "a", "b"], "days": 3}).encode()
    assert read_wanted(body) == Wanted("my-app", ("b", "a"), 3)
    assert read_wanted(b'{"name":"x","models":["*"]}') == Wanted("x", ("*",), 90)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "the body"),
        (b"[1]", "the body"),
        (b"\xff", "the body"),
        (b"[" * 100_000, "the body"),
        ({"name": "", "models": ["m"]}, "name"),
        ({"name": "-app", "models": ["m"]}, "name"),
        ({"name": "my app", "models": ["m"]}, "name"),
        ({"name": "app\n", "models": ["m"]}, "name"),
        ({"name": "a" * 65, "models": ["m"]}, "name"),
        ({"name": 7, "models": ["m"]}, "name"),
        ({"models": ["m"]}, "name"),
        ({"name": "app"}, "models"),
        ({"name": "app", "models": []}, "models"),
        ({"name": "app", "models": "red-blue"}, "models"),
        ({"name": "app", "models": [""]}, "models"),
        ({"name": "app", "models": [None]}, "models"),
        ({"name": "app", "models": ["a\nb"]}, "models"),
        ({"name": "app", "models": ["*", "m"]}, "models"),
        ({"name": "app", "models": ["m"] * 51}, "models"),
        ({"name": "app", "models": ["m" * 251]}, "models"),
        ({"name": "app", "models": ["m"], "days": 0}, "days"),
        ({"name": "app", "models": ["m"], "days": 3651}, "days"),
        ({"name": "app", "models": ["m"], "days": 1.5}, "days"),
        ({"name": "app", "models": ["m"], "days": True}, "days"),
        ({"name": "app", "models": ["m"], "days": "90"}, "days"),
        ({"name": "app", "models": ["m"], "owner": "root"}, "owner"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(body, field):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Refused) as refused:
        read_wanted(raw)
    assert refused.value.status == 400
    assert refused.value.message.startswith(field)


def test_a_key_says_who_made_it_for_what_and_until_when():
    signer = Signer(SEED)
    key = make(wanted(days=90), "ada", signer.kid, NOW)
    token = signer.text(key).removeprefix("slipway_")
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "kid": signer.kid, "typ": "JWT"}
    assert jwt.decode(token, options={"verify_signature": False}) == {
        "iss": "slipway",
        "aud": "slipway-serving",
        "sub": "my-app",
        "jti": key.id,
        "iat": NOW,
        "exp": NOW + 90 * DAY,
        "models": ["red-blue"],
    }


def test_another_seed_is_another_pair_and_the_same_seed_the_same():
    assert Signer(SEED).kid == Signer(SEED).kid
    assert Signer(SEED).public_key != Signer("5f" * 32).public_key


def test_keys_are_listed_to_their_owner_and_all_to_who_may_see_all(store):
    mine, other = make(wanted(), "ada", "k", NOW), make(wanted("other"), "bob", "k", NOW + 1)
    store.add(mine, 10)
    store.add(other, 10)
    assert store.all("ada") == [mine]
    assert store.all() == [other, mine]
    assert store.get(mine.id) == mine
    assert store.get("nothing") is None


def test_a_revoked_key_is_published_until_it_has_expired_everywhere(store):
    key = make(wanted(days=10), "ada", "k", NOW)
    store.add(key, 10)
    assert store.revoked(NOW) == []
    store.revoke(key.id, "ada", NOW + 5)
    store.revoke(key.id, "grace", NOW + 50)
    assert [(one.id, one.revoked) for one in store.revoked(NOW + 60)] == [(key.id, NOW + 5)]
    assert store.revoked(key.expires + 60), "a replica whose clock is behind would take it again"
    assert store.revoked(key.expires + 2 * DAY) == []


def test_what_expired_long_ago_is_forgotten_when_the_next_is_made(store):
    old = make(wanted(days=1), "ada", "k", NOW)
    store.add(old, 10)
    store.add(make(wanted(days=1), "ada", "k", NOW + 10 * DAY), 10)
    assert old in store.all(), "one still wants to see what expired lately"
    store.add(make(wanted(days=1), "ada", "k", NOW + 40 * DAY), 10)
    assert old not in store.all()


def test_a_name_belongs_to_whoever_has_a_live_key_of_it(store):
    first = make(wanted(), "ada", "k", NOW)
    store.add(first, 10)
    store.add(make(wanted(), "ada", "k", NOW + 1), 10)
    with pytest.raises(NameTaken):
        store.add(make(wanted(), "bob", "k", NOW + 2), 10)
    for key in store.all("ada"):
        store.revoke(key.id, "ada", NOW + 3)
    store.add(make(wanted(), "bob", "k", NOW + 4), 10)


def test_revoked_keys_count_until_they_expire(store):
    for number in range(3):
        key = make(wanted(f"app-{number}"), "ada", "k", NOW)
        store.add(key, 3)
        store.revoke(key.id, "ada", NOW)
    with pytest.raises(TooMany):
        store.add(make(wanted("one-more"), "ada", "k", NOW), 3)
    store.add(make(wanted("bobs"), "bob", "k", NOW), 3)
    store.add(make(wanted("later"), "ada", "k", NOW + 11 * DAY), 3)


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    for name, value in {
        "gateway_secret": "the-gateways-own-secret",
        "api_key_signing_seed": SEED,
        "auth_db_password": "s3cret/@:",
    }.items():
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("AUTH_DATABASE_URL", "postgresql+psycopg2://auth@postgres:5432/auth")
    return tmp_path


def test_the_databases_password_comes_from_its_secret_and_shows_up_nowhere(secrets):
    settings = read_key_settings()
    assert settings.database.password == "s3cret/@:"
    assert "s3cret" not in repr(settings) + str(settings.database)
    assert SEED not in repr(settings)


def test_without_a_database_no_keys_are_issued_and_nothing_is_asked_for(monkeypatch):
    monkeypatch.delenv("AUTH_DATABASE_URL", raising=False)
    assert read_key_settings() is None


@pytest.mark.parametrize("name", ["gateway_secret", "api_key_signing_seed", "auth_db_password"])
def test_a_missing_secret_is_named_with_its_file(secrets, name):
    (secrets / name).unlink()
    with pytest.raises(ValidationError) as refused:
        read_key_settings()
    assert str(secrets / name) in explain(refused.value)


def test_sqlite_needs_no_password_and_other_databases_are_refused(secrets, monkeypatch):
    (secrets / "auth_db_password").unlink()
    monkeypatch.setenv("AUTH_DATABASE_URL", "sqlite:////tmp/keys.db")
    assert read_key_settings().database.drivername == "sqlite"
    for nonsense in ("nonsense", "mysql://x/y"):
        monkeypatch.setenv("AUTH_DATABASE_URL", nonsense)
        with pytest.raises(ValidationError) as refused:
            read_key_settings()
        assert explain(refused.value).startswith("AUTH_DATABASE_URL is wrong")
    monkeypatch.setenv("AUTH_DATABASE_URL", "sqlite:////tmp/keys.db")
    (secrets / "api_key_signing_seed").write_text("too short")
    with pytest.raises(ValidationError) as refused:
        read_key_settings()
    assert "too short" not in explain(refused.value)
