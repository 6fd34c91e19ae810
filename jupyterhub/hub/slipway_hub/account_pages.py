"""The pages of accounts: sign up, change the password, and the administrator's list. Every change is a POST,
which JupyterHub accepts only with its XSRF token."""

from __future__ import annotations

from jupyterhub.handlers import BaseHandler
from jupyterhub.scopes import needs_scope
from nativeauthenticator.orm import UserInfo
from tornado import web

from slipway_hub import passwords
from slipway_hub.sessions import end_browser_sessions, end_everything

# Anybody can sign up; nobody should be able to fill the database by it.
MOST_WAITING = 200


def handlers() -> list[tuple[str, type]]:
    """Their paths under /hub. The hub's own /login stays: NativeAuthenticator's fails on JupyterHub 6."""
    return [
        (r"/signup", SignUp),
        (r"/authorize", Accounts),
        (r"/authorize/([^/]+)", Account),
        (r"/change-password", OwnPassword),
        (r"/change-password/([^/]+)", AnothersPassword),
    ]


class SignUp(BaseHandler):
    async def get(self) -> None:
        await self.show()

    async def post(self) -> None:
        username = self.authenticator.normalize_username(self.get_body_argument("username", "").strip())
        problem = await self.problem(username)
        if problem:
            self.set_status(400)
            await self.show(username=username, problem=problem)
            return
        await self.authenticator.sign_up(username, self.get_body_argument("signup_password", strip=False))
        self.log.info("%s signed up and waits for approval", username)
        await self.show(signed_up=username)

    async def problem(self, username: str) -> str | None:
        authenticator = self.authenticator
        if not authenticator.validate_username(username):
            return (
                "A user name starts with a letter or a digit and has only small letters, digits and . _ - "
                "@ +, at most 64."
            )
        if authenticator.name_is_taken(username):
            return f"The name {username} is taken. Choose another."
        if authenticator.how_many_wait() >= MOST_WAITING:
            return "Too many people are waiting for approval. Ask an administrator to look at the list."
        return passwords.complaint(
            username,
            self.get_body_argument("signup_password", "", strip=False),
            self.get_body_argument("signup_password_confirmation", "", strip=False),
        )

    async def show(self, **what: str) -> None:
        self.finish(await self.render_template("signup.html", **what))


class Accounts(BaseHandler):
    @needs_scope("admin:users")
    async def get(self) -> None:
        accounts = self.authenticator.accounts()
        self.finish(await self.render_template("accounts.html", accounts=accounts))


class Account(BaseHandler):
    @needs_scope("admin:users")
    async def post(self, username: str) -> None:
        account = account_or_404(self, username)
        if username == self.current_user.name:
            raise web.HTTPError(400, "You cannot suspend yourself. Another administrator can.")
        action = self.get_body_argument("action", "")
        if action == "approve":
            self.authenticator.approve(account, True)
        elif action == "suspend":
            self.authenticator.approve(account, False)
            if user := self.find_user(username):
                await end_everything(self, user)
        elif action == "discard" and self.authenticator.state_of(account) == "waits":
            self.authenticator.discard(account)
        else:
            raise web.HTTPError(400, "action must be approve, suspend, or discard (of one who waits)")
        self.log.info("%s: %s by %s", username, action, self.current_user.name)
        self.redirect(f"{self.hub.base_url}authorize")


class OwnPassword(BaseHandler):
    @web.authenticated
    async def get(self) -> None:
        account_or_404(self, self.current_user.name)
        await self.show()

    @web.authenticated
    async def post(self) -> None:
        user = self.current_user
        account = account_or_404(self, user.name)
        old = self.get_body_argument("old_password", "", strip=False)
        if not await passwords.matches(old, account.password):
            await self.show(problem="The present password is wrong.")
            return
        new = self.get_body_argument("new_password", "", strip=False)
        again = self.get_body_argument("new_password_confirmation", "", strip=False)
        problem = passwords.complaint(user.name, new, again)
        if not problem and new == old:
            problem = "This is the present password. Choose a new one."
        if problem:
            await self.show(problem=problem)
            return
        await self.authenticator.set_password(account, new)
        end_browser_sessions(self.db, user.orm_user, except_for=self.get_session_cookie())
        self.set_login_cookie(user)
        await self.show(changed=True)

    async def show(self, problem: str = "", changed: bool = False) -> None:
        if problem:
            self.set_status(400)
        page = await self.render_template("change-password.html", of=None, problem=problem, changed=changed)
        self.finish(page)


class AnothersPassword(BaseHandler):
    @needs_scope("admin:users")
    async def get(self, username: str) -> None:
        account_or_404(self, username)
        await self.show(username)

    @needs_scope("admin:users")
    async def post(self, username: str) -> None:
        account = account_or_404(self, username)
        new = self.get_body_argument("new_password", "", strip=False)
        again = self.get_body_argument("new_password_confirmation", "", strip=False)
        problem = passwords.complaint(username, new, again)
        if problem:
            self.set_status(400)
            await self.show(username, problem=problem)
            return
        await self.authenticator.set_password(account, new)
        if user := self.find_user(username):
            end_browser_sessions(self.db, user.orm_user)
        self.log.info("%s has a new password, set by %s", username, self.current_user.name)
        await self.show(username, changed=True)

    async def show(self, username: str, problem: str = "", changed: bool = False) -> None:
        page = await self.render_template(
            "change-password.html", of=username, problem=problem, changed=changed
        )
        self.finish(page)


def account_or_404(handler: BaseHandler, username: str) -> UserInfo:
    account = handler.authenticator.get_user(username)
    if account is None:
        raise web.HTTPError(404, f"There is no account {username}.")
    return account
