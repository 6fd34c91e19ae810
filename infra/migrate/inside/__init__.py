"""Programs that are handed to the Python of a container; each is one file and says where it runs."""
