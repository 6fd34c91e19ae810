#!/bin/bash
# Makes the database cluster on first start, then becomes Postgres. The variables are the official image's:
# POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS, and the scripts of
# /docker-entrypoint-initdb.d. A cluster that was not finished is never taken for one: it is made in a folder of its own
# and moved into place, marked by PG_VERSION, as the last step.
set -Eeuo pipefail

say() { echo "postgres: $*" >&2; }
fail() { say "$*"; exit 1; }

# A password from the variable or from the file it names; both at once is a mistake somewhere.
password() {
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
        [ -z "${POSTGRES_PASSWORD:-}" ] || fail "both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set; keep one"
        [ -s "$POSTGRES_PASSWORD_FILE" ] ||
            fail "the secret $POSTGRES_PASSWORD_FILE is missing; \`docker compose up secrets\` makes it"
        POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")
    fi
    [ -n "${POSTGRES_PASSWORD:-}" ] || fail "the superuser has no password; set POSTGRES_PASSWORD_FILE"
    printf '%s\n' "$POSTGRES_PASSWORD"
}

make_cluster() {
    local user=${POSTGRES_USER:-postgres} new=$PGDATA/.unfinished password
    local database=${POSTGRES_DB:-$user}
    password=$(password)
    rm -rf "$new"
    say "making the database cluster in $PGDATA"
    # The arguments are a shell's words, as in the official image: quotes in them hold.
    eval "initdb --pgdata=\"\$new\" --username=\"\$user\" --pwfile=<(printf '%s\n' \"\$password\") \
        --data-checksums --auth-host=scram-sha-256 --auth-local=trust ${POSTGRES_INITDB_ARGS:-}" >&2
    {
        echo
        echo "# Everybody from elsewhere, by password."
        echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}"
    } >>"$new/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$new/postgresql.conf"

    # For the scripts alone: no address, a socket nobody else knows.
    local socket
    socket=$(mktemp -d)
    pg_ctl --pgdata="$new" --wait --silent start \
        --options="-c listen_addresses='' -c unix_socket_directories='$socket' -c fsync=off" >&2
    export PGHOST=$socket PGUSER=$user PGPASSWORD=$password POSTGRES_USER=$user POSTGRES_DB=$database
    if [ "$database" != postgres ]; then
        psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --dbname postgres --set db="$database" <<<'CREATE DATABASE :"db";'
    fi
    run_scripts "$database"
    pg_ctl --pgdata="$new" --wait --silent --mode=fast stop >&2
    unset PGHOST PGUSER PGPASSWORD
    rm -rf "$socket"
    # What was written without fsync goes to the disk now, before it counts as a cluster.
    sync -f "$new"
    move_into_place "$new"
    say "the database cluster is ready"
}

run_scripts() {
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
        *.sh) say "running $script"; if [ -x "$script" ]; then "$script"; else bash -e "$script"; fi ;;
        *.sql) say "running $script"; psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --dbname "$1" --file "$script" ;;
        *.sql.gz) say "running $script"; gunzip -c "$script" | psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --dbname "$1" ;;
        esac
    done
}

# PG_VERSION comes last: without it Postgres refuses the folder, and the next start begins again.
move_into_place() {
    local new=$1 entry
    find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name .unfinished -exec rm -rf {} +
    for entry in "$new"/*; do
        [ "${entry##*/}" = PG_VERSION ] || mv "$entry" "$PGDATA/"
    done
    mv "$new/PG_VERSION" "$PGDATA/"
    sync -f "$PGDATA"
}

if [ "${1#-}" != "$1" ]; then set -- postgres "$@"; fi
if [ "$1" = postgres ]; then
    [ "$(id -u)" != 0 ] || fail "Postgres does not run as root; run this image as its user 999:999"
    mkdir -p "$PGDATA" 2>/dev/null || true
    [ -w "$PGDATA" ] || fail "$PGDATA cannot be written by user $(id -u); give the volume to it: chown -R 999:999"
    chmod 0700 "$PGDATA"
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        # A cluster has this file from its first moment in place. Without PG_VERSION beside it the folder holds what an
        # interrupted start left, or something that is not ours.
        strangers=$(find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name .unfinished ! -name lost+found | head -n 3)
        if [ -n "$strangers" ] && [ ! -d "$PGDATA/.unfinished" ]; then
            fail "$PGDATA holds files but no database cluster; empty it, or restore a backup into it"
        fi
        make_cluster
    fi
    rm -rf "$PGDATA/.unfinished"
fi
exec "$@"
