"""What one login and rights cost MLflow: through gateway, door-keeper and permissions against MLflow bare, on
the same Postgres, in one run.

    python -m tests.bench.tracking_figures [ROUNDS]

prints a Markdown table. Both servers run with two workers, behind a real Caddy with the gateway's own
configuration and the real door-keeper. The hub is a stand-in that knows one token: it is asked once a minute.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from tests.integration.mlflow.tracking_support import as_, make_secrets, settings, start
from tests.support.installation import REPOSITORY
from tests.support.postgres import PASSWORD, running_postgres
from tests.support.processes import Processes, free_port, program

TOKEN = "the-token-of-alice-at-the-hub"
ROUNDS, SECONDS, CLIENTS, CALLS = 7, 6.0, 8, 300
V2 = "/mlflow/api/2.0/mlflow"


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        # The door-keeper's health is that the hub knows the door-keeper.
        said: dict[str, object] = {"name": "auth", "kind": "service"}
        if TOKEN in self.headers.get("Authorization", ""):
            scopes = ["access:services!service=auth"]
            said = {"name": "alice", "kind": "user", "admin": False, "groups": [], "scopes": scopes}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Way:
    """How MLflow is reached: an address and what a client sends with it."""

    def __init__(self, name: str, base: str, headers: dict[str, str]) -> None:
        self.name, self.base, self.headers = name, base, headers
        self.rates: list[float] = []
        self.calls: list[float] = []

    def prepare(self) -> None:
        with httpx.Client(base_url=self.base, headers=self.headers, timeout=60) as client:
            made = client.post(f"{V2}/experiments/create", json={"name": f"bench {self.name}"})
            self.experiment = made.raise_for_status().json()["experiment_id"]
            self.runs = []
            for _ in range(CLIENTS):
                run = client.post(f"{V2}/runs/create", json={"experiment_id": self.experiment})
                self.runs.append(run.raise_for_status().json()["run"]["info"]["run_id"])

    async def log_batches(self) -> None:
        """As many batches of ten metrics as CLIENTS bring through in SECONDS."""
        async with httpx.AsyncClient(base_url=self.base, headers=self.headers, timeout=60) as client:
            began, done = time.perf_counter(), 0

            async def log(run: str) -> None:
                nonlocal done
                step = 0
                while time.perf_counter() - began < SECONDS:
                    step += 1
                    now = int(time.time() * 1000)
                    metrics = [
                        {"key": f"m{key}", "value": step / 7, "timestamp": now, "step": step}
                        for key in range(10)
                    ]
                    answer = await client.post(
                        f"{V2}/runs/log-batch", json={"run_id": run, "metrics": metrics}
                    )
                    answer.raise_for_status()
                    done += 1

            await asyncio.gather(*(log(run) for run in self.runs))
            self.rates.append(done / (time.perf_counter() - began))

    def ask(self) -> None:
        """One client, one call after the other."""
        with httpx.Client(base_url=self.base, headers=self.headers, timeout=60) as client:
            for _ in range(CALLS):
                began = time.perf_counter()
                client.get(
                    f"{V2}/experiments/get", params={"experiment_id": self.experiment}
                ).raise_for_status()
                self.calls.append((time.perf_counter() - began) * 1000)


def bare_mlflow(processes: Processes, folder: Path, database: str) -> str:
    port = free_port()
    environment = settings(folder, folder) | {"MLFLOW_BACKEND_STORE_URI": database, "MLFLOW_WORKERS": "2"}
    environment |= {"MLFLOW_ARTIFACTS_DESTINATION": f"{folder}/bare", "MLFLOW_PORT": str(port)}
    environment |= {
        "MLFLOW_UVICORN_OPTS": "--no-access-log",
        "MLFLOW_EXPOSE_PROMETHEUS": f"{folder}/bare-metrics",
    }
    process = processes.start("bare", [program("mlflow"), "server"], environment=environment)
    processes.wait_for("bare", process, f"http://127.0.0.1:{port}/mlflow/health", below=400, seconds=120)
    return f"http://127.0.0.1:{port}"


def behind_the_gateway(processes: Processes, folder: Path, secrets: Path, mlflow: str) -> str:
    hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    (secrets / "auth_service_token").write_text("the token of the door-keeper")
    auth, door = free_port(), free_port()
    keeper = processes.start(
        "auth",
        [sys.executable, "-m", "doorkeeper"],
        environment={
            "PYTHONPATH": str(REPOSITORY / "services/auth"),
            "SECRETS_DIR": str(secrets),
            "HUB_API_URL": f"http://127.0.0.1:{hub.server_port}/hub/api",
            "PUBLIC_URL": f"http://localhost:{door}",
            "AUTH_HOST": "127.0.0.1",
            "AUTH_PORT": str(auth),
        },
    )
    processes.wait_for("auth", keeper, f"http://127.0.0.1:{auth}/auth/health", below=400)
    caddy = processes.start(
        "gateway",
        [
            program("caddy"),
            "run",
            "--config",
            str(REPOSITORY / "services/gateway/Caddyfile"),
            "--adapter",
            "caddyfile",
        ],
        environment={
            "SECRETS_DIR": str(secrets),
            "SITE_ADDRESS": f"http://:{free_port()}",
            "NOTEBOOKS_ADDRESS": f"http://:{door}",
            "GATEWAY_BIND": "127.0.0.1",
            "AUTH_UPSTREAM": f"127.0.0.1:{auth}",
            "MLFLOW_UPSTREAM": mlflow.removeprefix("http://"),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
        },
    )
    processes.wait_for("gateway", caddy, f"http://127.0.0.1:{door}/gateway/health", below=400)
    return f"http://127.0.0.1:{door}"


def measure(folder: Path, postgres: str, rounds: int) -> list[Way]:
    processes, secrets = Processes(folder), make_secrets(folder / "secrets")
    try:
        bare = Way("bare", bare_mlflow(processes, folder, f"{postgres}/postgres"), {})
        environment = settings(folder, secrets) | {
            "BACKEND_STORE_URI": f"{postgres}/rights",
            "AUTH_DATABASE_URI": f"{postgres}/permissions",
            "MLFLOW_WORKERS": "2",
            "MLFLOW_UVICORN_OPTS": "--no-access-log",
        }
        direct = start(processes, environment)
        whole = behind_the_gateway(processes, folder, secrets, direct)
        ways = [
            bare,
            Way("rights", direct, as_("alice")),
            Way("gateway, door-keeper, rights", whole, {"Authorization": f"Bearer {TOKEN}"}),
        ]
        for way in ways:
            way.prepare()
        for number in range(rounds + 1):
            # In turn forwards and backwards: what else the machine does hits all alike.
            for way in ways if number % 2 else ways[::-1]:
                asyncio.run(way.log_batches())
                way.ask()
            if number == 0:  # warm now
                for way in ways:
                    way.rates.clear()
                    way.calls.clear()
            print(
                f"round {number}: " + ", ".join(f"{w.name} {w.rates[-1]:.0f}/s" for w in ways if w.rates),
                file=sys.stderr,
            )
        return ways
    finally:
        processes.stop_all()


def table(ways: list[Way]) -> str:
    bare = ways[0]
    lines = [
        "| way to MLflow | log-batch/s | of bare | experiments/get p50 | p99 | added p50 | added p99 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    p50, p99 = quantiles(bare)
    for way in ways:
        # Round by round: neighbours in time are alike.
        share = statistics.median(mine / its for mine, its in zip(way.rates, bare.rates, strict=True))
        own50, own99 = quantiles(way)
        lines.append(
            f"| {way.name} | {statistics.median(way.rates):.0f} | {share:.2f} "
            f"| {own50:.1f} ms | {own99:.1f} ms "
            f"| {own50 - p50:+.1f} ms | {own99 - p99:+.1f} ms |"
        )
    return "\n".join(lines)


def quantiles(way: Way) -> tuple[float, float]:
    cuts = statistics.quantiles(way.calls, n=100)
    return cuts[49], cuts[98]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder, running_postgres("mlflow") as server:
        address = f"postgresql+psycopg2://mlflow:{PASSWORD}@127.0.0.1:{server.port}"
        make_databases(address, "rights", "permissions")
        ways = measure(Path(folder), address, rounds)
    print(table(ways))
    print(f"\n{rounds} rounds, {CLIENTS} clients, {os.cpu_count()} CPUs.")


def make_databases(address: str, *names: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"{address}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in names:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    engine.dispose()


if __name__ == "__main__":
    main()
