#!/bin/sh
# Starts MinIO with root's credentials from files. The image's own entrypoint ignores a missing file and goes
# on with the well-known default credentials; here that is an error.
set -eu
for name in minio_root_user minio_root_password; do
    if ! [ -s "/run/secrets/$name" ]; then
        echo "minio: the secret /run/secrets/$name is missing; \`docker compose up secrets\` makes it" >&2
        exit 1
    fi
done
export MINIO_ROOT_USER_FILE=/run/secrets/minio_root_user
export MINIO_ROOT_PASSWORD_FILE=/run/secrets/minio_root_password
exec /usr/bin/docker-entrypoint.sh silo server /data --console-address 127.0.0.1:9001
