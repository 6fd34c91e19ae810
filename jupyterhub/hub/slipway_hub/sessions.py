"""Ends what a person has open: browser sessions when the password changes, everything when suspended."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from jupyterhub import orm


def end_browser_sessions(db: Session, user: orm.User, except_for: str | None = None) -> None:
    """Logs the user out of every browser but the one of this session id. Tokens made by hand stay."""
    user.cookie_id = orm.new_token()
    for token in user.api_tokens:
        if token.session_id and token.session_id != except_for:
            db.delete(token)
    db.commit()


async def end_everything(handler: Any, user: Any) -> None:
    """Browser sessions, all tokens, and the notebook server. `handler` is the hub's, `user` its wrapper."""
    for name, spawner in list(user.spawners.items()):
        if spawner.active and not spawner.pending:
            await handler.stop_single_user(user, name)
    end_browser_sessions(handler.db, user.orm_user)
    for token in list(user.orm_user.api_tokens):
        handler.db.delete(token)
    handler.db.commit()
