"""The services of Slipway as processes of one supervisor, on a machine without Docker. Standard library only;
parses on Python 3.9. What runs inside the platform's own environment says so.
"""
