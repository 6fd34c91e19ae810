"""/hub/ready: whether the hub works, which /hub/health does not tell, since that never asks the database."""

from __future__ import annotations

from jupyterhub.handlers.pages import HealthCheckHandler
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError


def handlers() -> list[tuple[str, type]]:
    return [(r"/ready", Ready)]


class Ready(HealthCheckHandler):
    """A HealthCheckHandler, so that the hub's log does not show each visit."""

    def get(self) -> None:
        try:
            self.db.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            self.db.rollback()
            self.log.error("the database does not answer: %s", error.__class__.__name__)
            self.set_status(503)
            self.finish({"status": "the database does not answer"})
            return
        self.finish({"status": "ok"})

    head = get
