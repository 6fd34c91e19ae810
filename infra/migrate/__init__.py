"""`./slipway migrate --to docker`: an embedded platform's work into the Compose stack, verified on both
sides.

Standard library only. What must run beside the stack's stores is in inside/: programs of one file each that
are handed to the Python of a container, and get their data over its standard input.
"""
