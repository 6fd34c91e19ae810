"""Slipway's model server: follows the registry's `production` alias and answers predictions over HTTP."""

__version__ = "0.1.0"
