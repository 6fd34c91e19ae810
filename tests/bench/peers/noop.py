"""A FastAPI route that does nothing: what HTTP alone costs here. `uvicorn noop:app`."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.post("/predict")
async def predict() -> dict[str, list[str]]:
    return {"predictions": ["Red"]}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
