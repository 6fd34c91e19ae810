"""Installs a Docker Engine with Compose and Buildx from the distribution's own packages.

Python standard library only; every file here parses on Python 3.9.
"""
