"""What Slipway's JupyterHub adds to JupyterHub: accounts, notebooks in containers, and who may do what."""
