#!/bin/sh
# Healthy is a store that takes an object and gives it back. The probe has a bucket of its own.
set -eu
MC_HOST_store="http://$(cat /run/secrets/minio_root_user):$(cat /run/secrets/minio_root_password)@127.0.0.1:9000"
export MC_HOST_store
written="slipway $$"
mcli --quiet mb --ignore-existing store/healthcheck >/dev/null
echo "$written" | mcli --quiet pipe store/healthcheck/probe >/dev/null
[ "$(mcli --quiet cat store/healthcheck/probe)" = "$written" ]
