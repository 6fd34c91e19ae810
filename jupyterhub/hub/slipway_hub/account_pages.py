"""The pages of accounts: sign up, change the password, and the administrator's list. Every change is a POST,
which JupyterHub accepts only with its XSRF token."""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers import BaseHandler
from jupyterhub.scopes import needs_scope
from tornado import web

from slipway_hub import passwords
from slipway_hub.people import INVALID_NAME, People
from slipway_hub.sessions import end_browser_sessions
from slipway_hub.tries import TooMany

# Anybody can sign up; nobody should be able to fill the database by it.
MOST_WAITING = 200


def handlers() -> list[tuple[str, type]]:
    """Their paths under /hub. The hub's own /login stays: NativeAuthenticator's fails on JupyterHub 6."""
    return [
        (r"/signup", SignUp),
        (r"/authorize", Accounts),
        (r"/authorize/([^/]+)", Account),
        (r"/change-password", OwnPassword),
    ]


class SignUp(BaseHandler):
    async def get(self) -> None:
        await self.show()

    async def post(self) -> None:
        username = self.authenticator.normalize_username(self.get_body_argument("username", "").strip())
        try:
            problem = self.problem(username)
        except TooMany as too_many:
            self.set_status(too_many.status_code)
            self.set_header("Retry-After", too_many.headers["Retry-After"])
            await self.show(username=username, problem=too_many.get_message(), too_many=True)
            return
        if problem:
            self.set_status(400)
            await self.show(username=username, problem=problem)
            return
        await self.authenticator.sign_up(username, self.get_body_argument("signup_password", strip=False))
        self.log.info("%s signed up and waits for approval", username)
        await self.show(signed_up=username)

    def problem(self, username: str) -> str | None:
        """What is wrong with the form. Raises TooMany before it tells whether a name is taken: who asks that
        twenty times is not looking for a name."""
        authenticator = self.authenticator
        if not authenticator.validate_username(username):
            return INVALID_NAME
        complaint = passwords.complaint(
            username,
            self.get_body_argument("signup_password", "", strip=False),
            self.get_body_argument("signup_password_confirmation", "", strip=False),
        )
        if complaint:
            return complaint
        authenticator.tries.sign_up(self.request)
        if authenticator.name_is_taken(username):
            return f"The name {username} is taken. Choose another."
        if authenticator.how_many_wait() >= MOST_WAITING:
            return "Too many people are waiting for approval. Ask an administrator to look at the list."
        return None

    async def show(self, **what: Any) -> None:
        self.finish(await self.render_template("signup.html", **what))


class AccountsPage(BaseHandler):
    async def show(self, **what: Any) -> None:
        first, everybody = self.authenticator.admin_user, People(self).all()
        page = await self.render_template("accounts.html", people=everybody, first=first, **what)
        # A link that is shown is good for whoever sees it.
        self.set_header("Cache-Control", "no-store")
        self.finish(page)

    async def refuse(self, problem: web.HTTPError, name: str) -> None:
        self.set_status(problem.status_code)
        await self.show(problem=problem.get_message(), person=name)


class Accounts(AccountsPage):
    @needs_scope("admin:users")
    async def get(self) -> None:
        await self.show()

    @needs_scope("admin:users")
    async def post(self) -> None:
        """Invites somebody."""
        name = self.authenticator.normalize_username(self.get_body_argument("username", "").strip())
        try:
            link = People(self).invite(name, bool(self.get_body_argument("admin", "")))
        except web.HTTPError as problem:
            await self.refuse(problem, name)
            return
        self.log.info("%s: invited by %s", name, self.current_user.name)
        await self.show(link=link, person=name)


class Account(AccountsPage):
    @needs_scope("admin:users")
    async def post(self, username: str) -> None:
        people, action = People(self), self.get_body_argument("action", "")
        what: dict[str, Any] = {}
        try:
            people.account(username)
            if username == self.current_user.name:
                raise web.HTTPError(400, "You cannot do this to yourself. Another administrator can.")
            if action == "approve":
                people.approve(username)
            elif action == "suspend":
                await people.suspend(username)
            elif action in ("administrator", "withdraw"):
                people.set_admin(username, action == "administrator")
            elif action == "reset":
                what = {"link": people.reset(username), "person": username}
            elif action == "remove":
                what = {"removed": username, "files": await people.remove(username)}
            else:
                raise web.HTTPError(
                    400, "action must be approve, suspend, administrator, withdraw, reset or remove."
                )
        except web.HTTPError as problem:
            await self.refuse(problem, "")
            return
        self.log.info("%s: %s by %s", username, action, self.current_user.name)
        if what:
            await self.show(**what)
        else:
            self.redirect(f"{self.hub.base_url}authorize")


class OwnPassword(BaseHandler):
    @web.authenticated
    async def get(self) -> None:
        self.account()
        await self.show()

    @web.authenticated
    async def post(self) -> None:
        user, account = self.current_user, self.account()
        old = self.get_body_argument("old_password", "", strip=False)
        try:
            claims = self.authenticator.tries.log_in(self, user.name)
        except TooMany as too_many:
            self.set_header("Retry-After", too_many.headers["Retry-After"])
            await self.show(problem=too_many.get_message(), status=too_many.status_code)
            return
        if not await passwords.matches(old, account.password):
            await self.show(problem="The present password is wrong.")
            return
        self.authenticator.tries.was_right(claims)
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

    def account(self) -> Any:
        account = self.authenticator.get_user(self.current_user.name)
        if account is None:
            raise web.HTTPError(404, "You have no password here.")
        return account

    async def show(self, problem: str = "", changed: bool = False, status: int = 400) -> None:
        if problem:
            self.set_status(status)
        self.finish(await self.render_template("change-password.html", problem=problem, changed=changed))
