"""Log lines as JSON, one object a line, for every logger in the process (uvicorn's and MLflow's too)."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import orjson

_STANDARD = set(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """time, level, logger, message, then whatever was passed as `extra`, then the trace if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def set_up_logging(level: str) -> None:
    """Send everything to stderr as JSON lines; third parties only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    for name in ("slipway_serving", "uvicorn"):
        logging.getLogger(name).setLevel(level.upper())
    # Says at every look that it retries; that the registry is away is told once, by the watcher.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    # MLflow brings handlers of its own, which would print every line twice and not as JSON.
    for name in [*logging.root.manager.loggerDict]:
        if name.split(".")[0] in {"mlflow", "alembic"}:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
