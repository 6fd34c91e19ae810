"""Builds from Debian's and PyPI's packages the images that a machine without a registry cannot pull.

Python standard library only; every file here parses on Python 3.9.
"""
