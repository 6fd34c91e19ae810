"""The door-keeper: tells the gateway who is asking. It keeps no accounts of its own: the hub does."""
