"""Begins and ends what a person has open: browser sessions, tokens, the notebook server."""

from __future__ import annotations

import time
from typing import Any

from jupyterhub.handlers.login import LogoutHandler
from sqlalchemy.orm import Session

from jupyterhub import orm


def end_browser_sessions(db: Session, user: orm.User, except_for: str | None = None) -> None:
    """Logs the user out of every browser but the one of this session id. Tokens made by hand stay."""
    user.cookie_id = orm.new_token()
    for token in user.api_tokens:
        if token.session_id and token.session_id != except_for:
            db.delete(token)
    db.commit()


def end_tokens_made_by_hand(db: Session, user: Any) -> None:
    """A notebook server that runs keeps its own. `user` is the hub's wrapper."""
    of_servers = {orm.APIToken.find(db, one.api_token) for one in user.spawners.values() if one.active}
    for token in list(user.orm_user.api_tokens):
        if not token.session_id and token not in of_servers:
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


async def begin(handler: Any, name: str) -> None:
    """Logs this browser in, as the login page does once the password is found right."""
    authenticator = handler.authenticator
    user = await handler.auth_to_user(
        {"name": name, "admin": authenticator.is_admin(handler, {"name": name})}
    )
    present = handler.get_current_user_cookie()
    if present is None or present.id != user.id:
        end_session_of_another(handler, user)
    handler.set_login_cookie(user)
    user._auth_refreshed = time.monotonic()


def end_session_of_another(handler: Any, user: orm.User) -> None:
    """Without it the door-keeper would go on to take this browser for who was logged in before."""
    if session := handler.get_session_cookie():
        tokens = handler.db.query(orm.APIToken).filter_by(session_id=session)
        for token in tokens.filter(orm.APIToken.user_id != user.id):
            handler.db.delete(token)
        handler.db.commit()
    handler.set_session_cookie()


class EndsEverySession:
    """For a page that logs out: in every browser of the person.

    JupyterHub's own takes the cookie from this browser alone. A copy of the cookie would go on to work; only
    what all cookies of a person have in common can be made void.
    """

    async def default_handle_logout(self) -> None:
        user = self.current_user
        await super().default_handle_logout()
        if user:
            end_browser_sessions(self.db, user.orm_user)


class Logout(EndsEverySession, LogoutHandler):
    """/hub/logout where accounts are the hub's own."""
