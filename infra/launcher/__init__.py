"""The launcher behind ./slipway: checks, builds, starts, watches and stops the Compose stack.

Python standard library only; every file parses on Python 3.9. Each module looks after the one thing it is
named after. It holds no settings of the services: those are compose.yaml's and .env's.
"""
