"""The gate before the Docker Engine."""
