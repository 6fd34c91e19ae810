"""Who may say who is asking: the door-keeper, with the gateway's secret, and nobody else."""

from __future__ import annotations

import pytest

from tests.integration.gateway.conftest import BEHIND, KEY, SECRET

CLAIMS = (
    "X-Remote-User: admin",
    "x-remote-admin: 1",
    "X-REMOTE-GROUPS: admins",
    "X-Remote-Groups: twice",
    "X_Remote_Groups: admins",
    "X-Remote_Admin: 1",
    "x_remote_user: admin",
    "X-Remote-Whatever: 1",
    "X-Gateway-Secret: guessed",
    "x-gateway-secret: again",
    "X_Gateway_Secret: guessed",
    f"X-Gateway_Secret: {SECRET}",
)
OPEN = ("/hub/home", "/user/ann/lab", "/services/x", "/auth/whoami", "/serving/health", "/")
BY_LOGIN = ("/mlflow/", "/serving/models", "/portal/state.json")


def claimed(request: dict) -> dict[str, str]:
    """The identity in a request, as WSGI would read it: without a difference between `-` and `_`."""
    return {
        name: value
        for name, value in ((name.replace("_", "-"), value) for name, value in request["sent"])
        if name.startswith(("x-remote-", "x-gateway-"))
    }


@pytest.mark.parametrize("at", ["port", "notebooks_port"])
@pytest.mark.parametrize("path", OPEN)
def test_nobody_can_say_themselves_who_they_are(gateway, path, at):
    reached = gateway.raw(path, *CLAIMS, at=getattr(gateway, at)).reached()
    assert claimed(reached) == {}


@pytest.mark.parametrize("at", ["port", "notebooks_port"])
@pytest.mark.parametrize("path", BY_LOGIN)
def test_what_the_doorkeeper_says_comes_with_the_secret_and_nothing_is_added_to_it(gateway, path, at):
    reached = gateway.raw(path, "Authorization: Bearer ann", *CLAIMS, at=getattr(gateway, at)).reached()
    assert claimed(reached) == {"x-remote-user": "ann", "x-gateway-secret": SECRET}
    names = [name for name, _ in reached["sent"]]
    assert names.count("x-remote-user") == names.count("x-gateway-secret") == 1


@pytest.mark.parametrize("path", BY_LOGIN)
def test_credentials_end_at_the_door(gateway, path):
    sent = ("Authorization: Bearer ann", "Cookie: slipway-session=hers")
    reached = gateway.raw(path, *sent).reached()
    assert not {"authorization", "cookie"} & set(reached)


def test_the_doorkeeper_is_asked_without_a_claim_and_without_the_secret(gateway):
    answer = gateway.raw("/mlflow/", *CLAIMS)
    assert answer.status_code == 401
    assert answer.reached()["by"] == "auth"
    assert claimed(answer.reached()) == {}


def test_an_applications_key_goes_to_serving_and_asks_nobody(gateway):
    asked = gateway.behind["auth"].asked
    reached = gateway.raw("/serving/predict", f"Authorization: {KEY}", *CLAIMS, method="POST").reached()
    assert (reached["by"], reached["path"], reached["authorization"]) == ("serving", "/predict", KEY)
    assert claimed(reached) == {}
    assert gateway.behind["auth"].asked == asked


@pytest.mark.parametrize("path", ["/mlflow/", "/portal/state.json"])
def test_an_applications_key_opens_nothing_else(gateway, path):
    assert gateway.raw(path, f"Authorization: {KEY}").status_code == 401


@pytest.mark.parametrize(
    "sent", ["Bearer ann, Bearer slipway_x", "Basic slipway_x", "slipway_x", "Bearer  x"]
)
def test_what_is_no_key_is_the_doorkeepers_to_judge(gateway, sent):
    assert gateway.raw("/serving/models", f"Authorization: {sent}").reached()["by"] == "auth"


def test_two_authorizations_are_no_key_and_no_login(gateway):
    for both in ((KEY, "Bearer ann"), ("Bearer ann", KEY)):
        answer = gateway.raw("/serving/models", *(f"Authorization: {one}" for one in both))
        assert "x-remote-user" not in answer.reached()


def test_no_answer_carries_the_secret(gateway):
    for path in (*OPEN, *BY_LOGIN):
        for headers in ((), ("Authorization: Bearer ann",), (f"Authorization: {KEY}",)):
            answer = gateway.raw(path, *headers)
            assert SECRET not in " ".join(answer.headers), path
            assert "x-gateway-secret" not in " ".join(answer.headers).lower(), path


def test_where_a_visitor_is_from_is_what_the_gateway_sees(gateway):
    """The hub counts sign-ups by this address."""
    lies = ("X-Forwarded-For: 10.9.8.7", "X-Real-IP: 10.9.8.7", "Forwarded: for=10.9.8.7;proto=https")
    schemes = ("X-Forwarded-Proto: https", "X-Scheme: https", "X-Forwarded-Prefix: /x")
    for name in BEHIND:
        path = {"proxy": "/hub/", "auth": "/auth/x", "portal": "/"}.get(name, f"/{name}/")
        reached = gateway.raw(path, "Authorization: Bearer ann", *lies, *schemes).reached()
        assert (reached["by"], reached["x-forwarded-for"], reached["x-forwarded-proto"]) == (
            name,
            "127.0.0.1",
            "http",
        )
        assert not {"x-real-ip", "forwarded", "x-scheme", "x-forwarded-prefix"} & set(reached)
