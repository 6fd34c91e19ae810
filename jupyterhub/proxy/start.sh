#!/bin/sh
# Starts the proxy that stands before the hub and the notebooks, with the token from its secret file.
set -eu
token_file="${SECRETS_DIR:-/run/secrets}/proxy_auth_token"
if [ ! -s "$token_file" ]; then
    # Without a token the proxy would take orders from anybody.
    echo "proxy: the secret $token_file is missing or empty; \`./slipway up\` makes it, and so does the job \`secrets\` of the Compose stack." >&2
    exit 1
fi
CONFIGPROXY_AUTH_TOKEN=$(cat "$token_file")
export CONFIGPROXY_AUTH_TOKEN
if [ -z "${PROXY_IP:-}" ] || [ -z "${PROXY_API_IP:-}" ]; then
    services=$(node /opt/slipway/address.js)
fi
exec configurable-http-proxy \
    --ip "${PROXY_IP:-$services}" --port "${PROXY_PORT:-8000}" \
    --api-ip "${PROXY_API_IP:-$services}" --api-port "${PROXY_API_PORT:-8001}" \
    --default-target "$HUB_URL" --error-target "$HUB_URL/hub/error" \
    --log-level "${PROXY_LOG_LEVEL:-warn}"
