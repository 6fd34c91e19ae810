"""BentoML with its adaptive batching: `bentoml serve bentoml_service:Rows`."""

from __future__ import annotations

import bentoml
from native import Model


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 256})
class Rows:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(batchable=True, max_batch_size=20_000, max_latency_ms=1_000)
    def predict(self, rows: list) -> list:
        return self.model.predict(rows).tolist()
