"""Makes every secret of the platform on first start and hands each consumer its own; never changes one.

The store (STORE, a volume only this job mounts) keeps what was made. Each consumer has a volume under
OUT/<consumer>, which it mounts read-only at /run/secrets: there it finds the files listed for it below,
mode 0400, owned by the user it runs as. A file that the operator put into OPERATOR (the folder
`secrets/` of the checkout) is handed out instead of a made one. Running again hands out the same.

Without containers it is a plain process of the account that runs the services: SECRETS_CONSUMERS names
those there are, with commas between them, and SECRETS_ONE_OWNER=1 leaves every file to that account.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

STORE = Path(os.environ.get("SECRETS_STORE", "/store"))
OPERATOR = Path(os.environ.get("SECRETS_OPERATOR", "/operator"))
OUT = Path(os.environ.get("SECRETS_OUT", "/out"))
ONE_OWNER = os.environ.get("SECRETS_ONE_OWNER") == "1"


class Consumer(NamedTuple):
    uid: int
    """The user and group id that the consumer's container runs as."""
    names: tuple[str, ...]
    """The secrets it cannot run without."""
    optional: tuple[str, ...] = ()
    """Secrets that exist only when the operator brings them."""


DATABASES = ("mlflow", "mlflow_auth", "jupyterhub", "auth", "serving", "pipelines")
DATABASE_PASSWORDS = tuple(f"{name}_db_password" for name in DATABASES)
MINIO_ROOT = ("minio_root_user", "minio_root_password")
MLFLOW_S3 = ("mlflow_s3_access_key_id", "mlflow_s3_secret_access_key")
PREDICTIONS_S3 = ("predictions_s3_access_key_id", "predictions_s3_secret_access_key")
"""By which serving puts logged predictions into their bucket, and can do nothing else."""

CONSUMERS = {
    "postgres": Consumer(999, ("postgres_superuser_password",)),
    "database": Consumer(999, ("postgres_superuser_password", *DATABASE_PASSWORDS)),
    "minio": Consumer(0, MINIO_ROOT),
    "objectstore": Consumer(1000, (*MINIO_ROOT, *MLFLOW_S3, *PREDICTIONS_S3)),
    "gateway": Consumer(1000, ("gateway_secret",), ("site_certificate", "site_certificate_key")),
    "mlflow": Consumer(
        1000,
        (
            "mlflow_db_password",
            "mlflow_auth_db_password",
            "mlflow_builtin_admin_password",
            "mlflow_flask_secret_key",
            "mlflow_reader_token",
            "gateway_secret",
            *MLFLOW_S3,
        ),
        ("artifacts_destination",),
    ),
    "hub": Consumer(
        1000,
        (
            "jupyterhub_db_password",
            "hub_cookie_secret",
            "hub_crypt_key",
            "hub_admin_password",
            "proxy_auth_token",
            "auth_service_token",
            "hub_operator_token",
        ),
        ("oidc_client_secret", "oidc_ca_certificate"),
    ),
    "proxy": Consumer(1000, ("proxy_auth_token",)),
    "auth": Consumer(
        1000, ("auth_service_token", "auth_db_password", "api_key_signing_seed", "gateway_secret")
    ),
    "portal": Consumer(1000, ("serving_reader_token", "gateway_secret")),
    "serving": Consumer(
        1000,
        (
            "serving_db_password",
            "serving_reader_token",
            "mlflow_reader_token",
            "gateway_secret",
            *PREDICTIONS_S3,
        ),
    ),
}

# What is not a password of 32 random bytes in URL-safe letters.
MAKERS = {
    "hub_cookie_secret": lambda: secrets.token_hex(32),
    "hub_crypt_key": lambda: secrets.token_hex(32),
    # The seed of an Ed25519 key, as it is: 32 bytes.
    "api_key_signing_seed": lambda: secrets.token_hex(32),
    # Typed by a person, once: 16 letters and digits that are not mistaken for one another, 79 bits.
    "hub_admin_password": lambda: "-".join(
        "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(4)) for _ in range(4)
    ),
    # S3 limits: an access key has 20 characters, a secret key 40.
    "minio_root_user": lambda: secrets.token_hex(10),
    "minio_root_password": lambda: secrets.token_urlsafe(30),
    "mlflow_s3_access_key_id": lambda: secrets.token_hex(10),
    "mlflow_s3_secret_access_key": lambda: secrets.token_urlsafe(30),
    "predictions_s3_access_key_id": lambda: secrets.token_hex(10),
    "predictions_s3_secret_access_key": lambda: secrets.token_urlsafe(30),
}


def main() -> int:
    try:
        consumers = the_consumers(os.environ)
        STORE.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = [name for name in every_name(consumers) if ensure_secret(name)]
        for name, consumer in consumers.items():
            hand_out(OUT / name, consumer)
    except (OSError, ValueError) as error:
        print(f"secrets: {error}", file=sys.stderr)
        return 1
    print(f"secrets: {len(made)} made, {len(consumers)} consumers served")
    return 0


def the_consumers(environment: os._Environ[str] | dict[str, str]) -> dict[str, Consumer]:
    """The table above, fitted to the object store (some know the keys from their configuration) and to
    who is there: all, or those that SECRETS_CONSUMERS names."""
    consumers = dict(CONSUMERS)
    if environment.get("MINIO_KNOWS_MLFLOW_KEY") == "1":
        consumers["minio"] = Consumer(1000, (*MINIO_ROOT, *MLFLOW_S3, *PREDICTIONS_S3))
    there = environment.get("SECRETS_CONSUMERS")
    if not there:
        return consumers
    chosen = [name.strip() for name in there.split(",")]
    if unknown := [name for name in chosen if name not in consumers]:
        raise ValueError(f"SECRETS_CONSUMERS: there is no {unknown[0]!r}; there are {', '.join(consumers)}")
    return {name: consumers[name] for name in chosen}


def every_name(consumers: dict[str, Consumer]) -> list[str]:
    return sorted({name for consumer in consumers.values() for name in consumer.names})


def ensure_secret(name: str) -> bool:
    """Makes the secret if there is none yet; true if it did."""
    path = STORE / name
    if path.exists():
        if not path.read_text().strip():
            raise ValueError(f"{path} is empty; restore the secrets volume from a backup")
        return False
    maker = MAKERS.get(name, lambda: secrets.token_urlsafe(32))
    write(path, maker(), uid=0)
    return True


def value_of(name: str) -> str | None:
    """The operator's value, else the made one, else None (an optional secret that nobody brought)."""
    for folder in (OPERATOR, STORE):
        path = folder / name
        if path.is_file():
            value = path.read_text().strip()
            if not value:
                raise ValueError(f"secrets/{name} is empty; write the secret into it or remove the file")
            return value
    return None


def hand_out(folder: Path, consumer: Consumer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # As it was left last time nothing can be put into it, unless by root.
    folder.chmod(0o700)
    values = {name: value_of(name) for name in (*consumer.names, *consumer.optional)}
    for name, value in values.items():
        if value is not None:
            write(folder / name, value, consumer.uid)
    for stale in folder.iterdir():
        if values.get(stale.name) is None:
            stale.unlink()
    own(folder, consumer.uid, 0o500)


def write(path: Path, value: str, uid: int) -> None:
    """Writes a secret whole or not at all; leaves a file that is right already untouched."""
    if path.exists() and path.read_text() == value:
        own(path, uid, 0o400)
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(descriptor, "w") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    own(Path(temporary), uid, 0o400)
    os.replace(temporary, path)


def own(path: Path, uid: int, mode: int) -> None:
    os.chmod(path, mode)
    if not ONE_OWNER and os.geteuid() == 0 and os.stat(path).st_uid != uid:
        os.chown(path, uid, uid)


if __name__ == "__main__":
    sys.exit(main())
