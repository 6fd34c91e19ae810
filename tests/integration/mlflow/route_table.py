"""Prints every route that MLflow's application has, both halves of it, as JSON: [["POST", "/mlflow/…"], …].

Run as a program, since MLflow's modules read their settings while they are imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from slipway_mlflow.serving import permissions_configured


def routes_of(routes: Iterable, prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "original_router"):  # what FastAPI makes of include_router
            yield from routes_of(route.original_router.routes, prefix + route.include_context.prefix)
        elif getattr(route, "methods", None):
            for method in route.methods:
                yield method, prefix + route.path
        elif type(route).__name__ != "Mount":
            raise TypeError(f"a kind of route that this does not know: {route}")


def main() -> None:
    with permissions_configured():
        from mlflow.server import auth
        from slipway_mlflow.app import create

        application = create()._application
    found = set(routes_of(application.routes))
    for rule in auth.app.url_map.iter_rules():
        found |= {(method, rule.rule) for method in rule.methods}
    print(json.dumps(sorted(found)))


if __name__ == "__main__":
    main()
