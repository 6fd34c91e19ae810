"""What prepares a machine and starts the stack on it. Python standard library only; parses on Python 3.9."""
