"""What the settings make of JupyterHub: accounts or a provider, containers and volumes, who may do what."""

import asyncio
import http.server
import json
import threading

import pytest
from dockerspawner import DockerSpawner
from slipway_hub import accounts, browsers, oidc, services, spawner
from slipway_hub.accounts import SlipwayAuthenticator
from slipway_hub.oidc import ProviderAuthenticator, ProviderUnreachable
from slipway_hub.oidc_discovery import find
from slipway_hub.settings import Settings
from traitlets.config import Config


@pytest.fixture
def provider(secrets_dir, monkeypatch):
    """An issuer's discovery document, served for real."""
    base = "http://login.test"
    document = {
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "userinfo_endpoint": f"{base}/userinfo",
    }

    class Discovery(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/realm/.well-known/openid-configuration"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode() if found else b"")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Discovery)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (secrets_dir / "oidc_client_secret").write_text("s3cret")
    monkeypatch.setenv("OIDC_CLIENT_ID", "slipway")
    monkeypatch.setenv("OIDC_ADMIN_GROUPS", "platform-admins")
    monkeypatch.setenv("OIDC_ISSUER", f"http://127.0.0.1:{server.server_port}/realm/")
    yield server
    server.shutdown()
    server.server_close()


def test_accounts_of_the_hub_are_the_default(secrets_dir):
    c = Config()
    accounts.configure(c, Settings())
    assert c.JupyterHub.authenticator_class is SlipwayAuthenticator
    assert c.SlipwayAuthenticator.admin_users == {"admin"}


def test_an_issuer_is_all_that_a_provider_needs(provider):
    c = Config()
    oidc.configure(c, Settings())
    assert c.JupyterHub.authenticator_class is ProviderAuthenticator
    assert c.ProviderAuthenticator.authorize_url == "http://login.test/authorize"
    assert c.ProviderAuthenticator.oauth_callback_url == "http://localhost:8080/hub/oauth_callback"
    assert c.ProviderAuthenticator.allow_all is True


def test_an_endpoint_that_is_set_goes_before_the_published_one(provider, monkeypatch):
    monkeypatch.setenv("OIDC_TOKEN_URL", "http://inside.test/token")
    assert find(Settings()).endpoints.token == "http://inside.test/token"


def test_allowed_groups_close_the_door_to_others(provider, monkeypatch):
    monkeypatch.setenv("OIDC_ALLOWED_GROUPS", "data-science")
    c = Config()
    oidc.configure(c, Settings())
    assert c.ProviderAuthenticator.allow_all is False
    assert c.ProviderAuthenticator.allowed_groups == {"data-science"}


def test_an_issuer_that_is_not_there_says_what_to_set(provider, monkeypatch):
    monkeypatch.setenv("OIDC_ISSUER", f"http://127.0.0.1:{provider.server_port}/other")
    with pytest.raises(ProviderUnreachable, match="OIDC_AUTHORIZE_URL"):
        find(Settings())


async def rights_of(authenticator, name, groups):
    model = {"name": name, "admin": None, "auth_state": {"oauth_user": {"groups": groups}}}
    return await authenticator._apply_managed_groups(await authenticator.update_auth_model(model))


@pytest.mark.parametrize(
    ("name", "groups", "admin"),
    [("root", [], True), ("alice", ["platform-admins"], True), ("admin", ["others"], False)],
)
def test_the_provider_alone_says_who_is_an_administrator(provider, monkeypatch, name, groups, admin):
    monkeypatch.setenv("OIDC_ADMIN_USERS", "root")
    c = Config()
    oidc.configure(c, Settings())
    authenticator = ProviderAuthenticator(config=c)
    model = asyncio.run(rights_of(authenticator, name, groups))
    assert model["admin"] is admin
    assert model["groups"] == groups


class Someone:
    def __init__(self, name: str) -> None:
        self.name, self.url = name, f"/user/{name}/"


def spawner_of(name: str) -> DockerSpawner:
    c = Config()
    spawner.configure(c, Settings(notebook_name_prefix="acme"))
    return DockerSpawner(config=c, user=Someone(name))


def test_each_user_has_a_container_and_a_labelled_volume(secrets_dir):
    made = spawner_of("alice")
    assert made.object_name == "acme-notebook-alice"
    mount, scratch = made.mount_binds
    assert (mount["Source"], mount["Target"]) == ("acme-notebook-alice", "/home/jovyan")
    labels = {"slipway.project": "acme", "slipway.role": "notebook"}
    assert mount["VolumeOptions"]["Labels"] == labels
    # One without a name for what is only for a while: the engine removes it with the container.
    assert (scratch["Source"], scratch["Target"]) == ("", "/tmp")
    # The image's labels of Compose must not make a user's server a service of the stack.
    of_compose = {"com.docker.compose.project": "", "com.docker.compose.service": ""}
    assert made.extra_create_kwargs["labels"] == {**labels, **of_compose}


def test_two_names_never_share_a_volume(secrets_dir):
    names = ["a.b", "a-b", "a_b", "a@b", "a+b", "ab", "a-2db", "a--b", "a-2eb"]
    volumes = {spawner_of(name).mount_binds[0]["Source"] for name in names}
    assert len(volumes) == len(names)


def test_a_notebook_can_do_little_to_the_machine(secrets_dir):
    made = spawner_of("alice")
    assert made.extra_create_kwargs["user"] == "1000:1000"
    assert made.extra_host_config["cap_drop"] == ["ALL"]
    assert made.extra_host_config["security_opt"] == ["no-new-privileges"]
    assert made.extra_host_config["read_only"] is True
    assert made.mem_limit == 2 * 1024**3
    assert made.cpu_limit == 1


def test_the_culler_may_stop_servers_and_no_more(secrets_dir):
    c = Config()
    services.configure(c, Settings(notebook_idle_seconds=120))
    [role] = [role for role in c.JupyterHub.load_roles if role["name"] == "idle-culler"]
    assert role["scopes"] == ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    [culler] = [service for service in c.JupyterHub.services if service["name"] == "idle-culler"]
    assert culler["command"][-2:] == ["--timeout=120", "--cull-every=60"]


def test_without_a_limit_nothing_is_culled(secrets_dir):
    c = Config()
    services.configure(c, Settings(notebook_idle_seconds=0))
    assert [service["name"] for service in c.JupyterHub.services] == ["auth", "operator"]


def test_the_operators_token_opens_our_own_pages_and_nothing_of_the_hubs(secrets_dir):
    c = Config()
    services.configure(c, Settings())
    [role] = [role for role in c.JupyterHub.load_roles if role["name"] == "operator"]
    assert role["scopes"] == list(c.JupyterHub.custom_scopes) == ["custom:slipway:people"]


@pytest.mark.parametrize(
    ("url", "secure"), [("https://ml.example.com", True), ("http://localhost:8080", False)]
)
def test_cookies_are_secure_where_the_site_is(secrets_dir, url, secure):
    c = Config()
    browsers.configure(c, Settings(public_url=url))
    for cookies in ("cookie_options", "xsrf_cookie_kwargs"):
        assert c.JupyterHub.tornado_settings[cookies]["samesite"] == "Lax"
        assert c.JupyterHub.tornado_settings[cookies].get("secure", False) is secure
