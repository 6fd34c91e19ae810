"""Somebody who is logged in, speaking to a platform by program: what a browser and MLflow's client do,
without starting either."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import httpx
from click.testing import CliRunner
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from pipelines.cli import main as slipway_command
from pipelines.red_blue.__main__ import main as red_blue
from tests.support.processes import eventually

POINT = {"inputs": [{"Coord_X": 7.5, "Coord_Y": 4.0}]}


class Person:
    """Whom a one-time link logs in, or else a name and a password."""

    def __init__(self, url: str, link: str = "", name: str = "", password: str = "") -> None:
        self.url, self.http = url, httpx.Client(base_url=url, follow_redirects=True, timeout=60)
        page = self.http.get(link or "/hub/login")
        assert page.status_code == 200, page.text
        if not link:
            form = {"username": name, "password": password, "_xsrf": self._xsrf()}
            page = self.http.post("/hub/login?next=/hub/home", data=form)
            assert page.url.path == "/hub/home", page.text
        self.name = self.http.get("/hub/api/user").json()["name"]
        made = self.http.post(
            f"/hub/api/users/{self.name}/tokens",
            headers={"X-XSRFToken": self._xsrf()},
            json={"note": "tests"},
        )
        assert made.status_code == 201, made.text
        self.token = made.json()["token"]
        self.http.cookies.clear()
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def _xsrf(self) -> str:
        (xsrf,) = [one.value for one in self.http.cookies.jar if (one.name, one.path) == ("_xsrf", "/hub/")]
        return xsrf

    def tracking(self) -> dict[str, str]:
        """The variables by which MLflow's client and our commands speak for this person."""
        return {
            "MLFLOW_TRACKING_URI": f"{self.url}/mlflow",
            "MLFLOW_TRACKING_TOKEN": self.token,
            "SLIPWAY_SERVING_URL": f"{self.url}/serving",
        }

    def rolls_out_a_first_model(self) -> None:
        """Trains on one sample, registers, rolls out, as in the tour; nothing if there is a model."""
        if self.predicts().status_code == 200:
            return
        self._command(red_blue, "train", "--model", "knn", "--sample", "1", "--experiment", "red-blue")
        best = ("--best", "reference_accuracy", "--experiment", "red-blue")
        self._command(slipway_command, "register", *best, "--name", "red-blue")
        self._command(slipway_command, "rollout", "red-blue", "1", "--reason", "the first")

    def _command(self, command, *arguments: str) -> None:
        with mock.patch.dict(os.environ, self.tracking()):
            done = CliRunner().invoke(command, arguments)
        assert done.exit_code == 0, done.output

    def application(self, name: str, *models: str) -> httpx.Client:
        """An application with a key of its own for these models."""
        made = self.http.post("/auth/keys", json={"name": name, "models": models, "days": 1})
        assert made.status_code == 201, made.text
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {made.json()['key']}"}, timeout=60
        )

    def predicts(self) -> httpx.Response:
        return self.http.post("/serving/predict", json=POINT)

    def makes_an_experiment(self, name: str) -> httpx.Response:
        return self.http.post("/mlflow/api/2.0/mlflow/experiments/create", json={"name": name})

    def experiments(self) -> set[str]:
        found = self.http.post("/mlflow/api/2.0/mlflow/experiments/search", json={"max_results": 1000})
        return {one["name"] for one in found.json()["experiments"]}

    def starts_a_server(self) -> None:
        """Unless it runs."""
        asked = self.http.post(f"/hub/api/users/{self.name}/server")
        assert asked.status_code in (201, 202) or "already running" in asked.text, asked.text
        assert eventually(self.server_answers, 60), "the notebook server did not start"

    def server_answers(self) -> bool:
        try:
            answer = self.http.get(f"/user/{self.name}/api/status")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and "started" in answer.text

    def starts_a_kernel(self) -> Kernel:
        made = self.http.post(f"/user/{self.name}/api/kernels", json={"name": "python3"})
        assert made.status_code == 201, made.text
        return Kernel(self, made.json()["id"])


class Kernel:
    """A running kernel; each cell is sent over a websocket of its own, as after a lost connection."""

    def __init__(self, person: Person, number: str) -> None:
        self.person, self.path = person, f"/user/{person.name}/api/kernels/{number}/channels"

    def runs(self, code: str) -> str:
        """What the cell prints. In a thread of its own, since Playwright's loop holds this one."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(asyncio.wait_for(self._run(code), 60))).result()

    async def _run(self, code: str) -> str:
        request = HTTPRequest(
            self.person.url.replace("http", "ws", 1) + self.path,
            headers={"Authorization": f"token {self.person.token}"},
        )
        connection = await websocket_connect(request)
        try:
            return await self._execute(connection, code)
        finally:
            connection.close()

    async def _execute(self, connection: WebSocketClientConnection, code: str) -> str:
        mine = uuid.uuid4().hex
        header = {"msg_id": mine, "msg_type": "execute_request", "session": mine, "version": "5.3"}
        message = {
            "channel": "shell",
            "header": {**header, "username": "", "date": ""},
            "parent_header": {},
            "metadata": {},
            "content": {"code": code, "silent": False},
            "buffers": [],
        }
        await connection.write_message(json.dumps(message))
        printed = ""
        while text := await connection.read_message():
            answer = json.loads(text)
            if answer["parent_header"].get("msg_id") != mine:
                continue
            kind, content = answer["header"]["msg_type"], answer["content"]
            printed += content["text"] if kind == "stream" else ""
            if kind == "status" and content["execution_state"] == "idle":
                return printed
        raise AssertionError("the connection was closed before the cell had run")
