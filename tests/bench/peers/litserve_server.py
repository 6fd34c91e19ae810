"""LitServe with batching: `python litserve_server.py PORT`."""

from __future__ import annotations

import sys
from itertools import accumulate
from typing import Any

import litserve
from native import Model


class Rows(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = Model()

    def decode_request(self, request):  # with a type, LitServe takes that for the request's own
        return request["rows"]

    def batch(self, inputs: list[list]) -> tuple[list, list[int]]:
        return [row for rows in inputs for row in rows], [len(rows) for rows in inputs]

    def predict(self, batch: tuple[list, list[int]]) -> tuple[list, list[int]]:
        rows, sizes = batch
        return self.model.predict(rows).tolist(), sizes

    def unbatch(self, output: tuple[list, list[int]]) -> list[list]:
        answers, sizes = output
        return [answers[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)]

    def encode_response(self, output: list) -> dict[str, Any]:
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        Rows(max_batch_size=64, batch_timeout=0.001), accelerator="cpu", workers_per_device=1, timeout=60
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
