#!/bin/sh
# One database and one login role for each service, owned by it and closed to the others.
# Runs at every start: what is there stays, what is missing is made, passwords follow the secrets.
set -eu

databases="mlflow mlflow_auth jupyterhub auth serving pipelines"
secrets=${SECRETS_DIR:-/run/secrets}

for name in postgres_superuser_password $(printf '%s_db_password ' $databases); do
    if ! [ -s "$secrets/$name" ]; then
        echo "database: the secret $secrets/$name is missing; \`docker compose up secrets\` makes it" >&2
        exit 1
    fi
done

PGPASSWORD=$(cat "$secrets/postgres_superuser_password")
export PGPASSWORD PGHOST="${PGHOST:-postgres}" PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=10

if ! psql --quiet --no-align --tuples-only --command 'SELECT 1' >/dev/null; then
    echo "database: Postgres refused its superuser. If its volume is older than the secrets volume, restore the" >&2
    echo "database: secrets that belong to it; they cannot be made again." >&2
    exit 1
fi

for name in $databases; do
    # psql reads the password itself: an argument would be seen in the host's process list.
    PASSWORD_FILE="$secrets/${name}_db_password" psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set name="$name" <<'SQL'
\set password `cat "$PASSWORD_FILE"`
SELECT format('CREATE ROLE %I', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
    echo "database: $name is there"
done
