"""The shapes of what is answered, for OpenAPI alone: answers are written by hand, these describe them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    code: str
    message: str
    field: str | None


class Error(BaseModel):
    error: ErrorDetail


class MlflowError(Error):
    error_code: str
    message: str


class InferenceError(BaseModel):
    error: str
    code: str
    field: str | None


class Predictions(BaseModel):
    model: str
    version: str
    predictions: Any
    classes: list[Any] | None = None
    """What the columns of probabilities stand for, where they were asked for."""


class ScoringPredictions(BaseModel):
    predictions: Any
    classes: list[Any] | None = None


class OutputTensor(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class Inference(BaseModel):
    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class Live(BaseModel):
    live: bool


class Ready(BaseModel):
    ready: bool


class ModelReady(Ready):
    name: str


class ServerMetadata(BaseModel):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Previous(BaseModel):
    version: str
    since: str


class LoadFailure(BaseModel):
    version: str
    reason: str
    attempts: int
    next_try: str


class Alias(BaseModel):
    version: str | None
    wanted: str
    state: Literal["live", "behind", "loading", "failed"]
    since: str | None
    runtime: str | None
    reason: str | None


class Loaded(BaseModel):
    version: str
    since: str
    runtime: str
    aliases: list[str]
    previous: bool
    """The one before Production's: a rollback to it needs no loading."""
    stuck_calls: int
    """That have not come back within the time a request has."""


class Canary(BaseModel):
    percent: float
    sticky: Literal["request", "caller"]


class Shadow(BaseModel):
    percent: float


class Model(BaseModel):
    name: str
    version: str | None
    alias: str
    state: Literal["live", "behind", "loading", "failed"]
    wanted: str | None
    since: str | None
    runtime: str | None
    flavor: str | None
    preparation: dict[str, Any] | None
    run_id: str | None
    signature: dict[str, Any] | None
    previous: Previous | None
    failure: LoadFailure | None
    aliases: dict[str, Alias]
    canary: Canary
    shadow: Shadow
    versions: list[Loaded]
    remarks: list[str]
    """What in the registry's tags is not followed, and why."""


class Models(BaseModel):
    models: list[Model]


class Health(BaseModel):
    status: Literal["ok"]


class RegistryState(BaseModel):
    reachable: bool | None
    error: str | None = None
    last_success: str | None


class DatabaseState(BaseModel):
    reachable: bool
    error: str | None = None


class KeysState(RegistryState):
    known: bool


class ModelState(BaseModel):
    state: Literal["live", "behind", "loading", "failed"]
    version: str | None
    wanted: str | None
    reason: str | None
    stuck_calls: int


class Readiness(BaseModel):
    status: Literal["ready", "starting", "stopping"]
    registry: RegistryState
    database: DatabaseState
    keys: KeysState
    models: dict[str, ModelState] | None = None
    """Not for unknown callers, as no `error` is."""


class CallerVisits(BaseModel):
    kind: Literal["application", "person"] | None
    name: str | None
    total: int
    versions: dict[str, int]


class ModelVisitors(BaseModel):
    total: int
    versions: dict[str, int]
    callers: list[CallerVisits]
    """Without kind and name: what releases counted that did not tell callers apart."""


class VisitorCounts(BaseModel):
    models: dict[str, ModelVisitors]
    total: int
    unsaved: int
