"""Train, register and roll out models. Each worked example is a package of its own below this one."""
