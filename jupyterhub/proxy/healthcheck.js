// Healthy means that the proxy takes the hub's orders: its API answers to the token.
"use strict";
const { readFileSync } = require("node:fs");
const { address } = require("./address.js");

const token = readFileSync(`${process.env.SECRETS_DIR ?? "/run/secrets"}/proxy_auth_token`, "utf8").trim();
const host = process.env.PROXY_API_IP ?? address();
const port = process.env.PROXY_API_PORT ?? "8001";

fetch(`http://${host}:${port}/api/routes`, {
  headers: { Authorization: `token ${token}` },
  signal: AbortSignal.timeout(4000),
}).then(
  (reply) => process.exit(reply.ok ? 0 : 1),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
