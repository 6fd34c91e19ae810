"""JupyterHub's configuration. Every option is a variable or a secret: slipway_hub/settings.py has them."""

import sys
from pathlib import Path

import slipway_hub
from slipway_hub import accounts, browsers, oidc, services, spawner
from slipway_hub.settings import settings_or_exit

c = get_config()  # noqa: F821 (JupyterHub gives it)
settings = settings_or_exit()

c.JupyterHub.public_url = f"{settings.public_url}/"
c.JupyterHub.hub_bind_url = settings.hub_bind_url
c.JupyterHub.hub_connect_url = settings.hub_connect_url
c.JupyterHub.db_url = settings.database_url
c.JupyterHub.upgrade_db = True
c.JupyterHub.cookie_secret = bytes.fromhex(settings.hub_cookie_secret.get_secret_value())
c.CryptKeeper.keys = [bytes.fromhex(settings.hub_crypt_key.get_secret_value())]
c.JupyterHub.oauth_require_pkce = True
c.JupyterHub.template_paths = [str(Path(slipway_hub.__file__).with_name("templates"))]

# The proxy and the notebooks live on while the hub restarts. A restarted proxy has forgotten its routes:
# looking every half minute gives them back.
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = settings.proxy_api_url
c.ConfigurableHTTPProxy.auth_token = settings.proxy_auth_token.get_secret_value()
c.JupyterHub.cleanup_servers = False
c.JupyterHub.last_activity_interval = 30

# Names go into headers, container names and MLflow.
c.Authenticator.username_pattern = r"^[a-z0-9][a-z0-9._@+-]{0,63}$"
try:
    (oidc if settings.oidc_client_id else accounts).configure(c, settings)
except oidc.ProviderUnreachable as error:
    sys.exit(f"hub: {error}.")
browsers.configure(c, settings)
services.configure(c, settings)
spawner.configure(c, settings)

for site_config in sorted(settings.hub_config_dir.glob("*.py")):
    load_subconfig(str(site_config))  # noqa: F821 (JupyterHub gives it)
