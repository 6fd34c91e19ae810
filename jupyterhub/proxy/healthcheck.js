// Healthy means that the proxy takes the hub's orders: its API answers to the token.
import { readFileSync } from "node:fs";

const token = readFileSync(`${process.env.SECRETS_DIR ?? "/run/secrets"}/proxy_auth_token`, "utf8").trim();
const port = process.env.PROXY_API_PORT ?? "8001";
const reply = await fetch(`http://127.0.0.1:${port}/api/routes`, {
  headers: { Authorization: `token ${token}` },
  signal: AbortSignal.timeout(4000),
});
process.exitCode = reply.ok ? 0 : 1;
