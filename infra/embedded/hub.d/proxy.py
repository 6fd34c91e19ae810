"""The hub's orders to Traefik (infra/embedded/hub_proxy.py), in place of the proxy on Node."""

import os

from slipway_hub.settings import settings_or_exit

c = get_config()  # noqa: F821 (JupyterHub gives it)
settings = settings_or_exit()

c.JupyterHub.proxy_class = "traefik_file"
proxy = c.TraefikFileProviderProxy
proxy.should_start = False
proxy.dynamic_config_file = os.environ["PROXY_ROUTES"]
proxy.traefik_entrypoint = "notebooks"
proxy.traefik_api_entrypoint = "orders"
proxy.traefik_api_url = settings.proxy_api_url
proxy.traefik_api_username = "hub"
proxy.traefik_api_password = settings.proxy_auth_token.get_secret_value()
