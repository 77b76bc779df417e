"""A real MLflow server below ``/team/digits.mlflow``, as DagsHub has one: it wants a user and a password.

It prints its port. `/seen` tells what was asked, `/fault` has the next request of a path fail after it was done.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

BELOW = "/team/digits.mlflow"


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class Guarded:
    """MLflow's own program behind a password."""

    def __init__(self, app: Any, user: str, password: str) -> None:
        self.app = app
        self.wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.seen: list[str] = []
        self.faults: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/seen":
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self.seen).encode()]
        if path == "/fault":
            self.faults.append(environ["QUERY_STRING"])
            start("204 No Content", [])
            return []
        if not path.startswith(BELOW) or environ.get("HTTP_AUTHORIZATION") != self.wanted:
            self.seen.append(f"refused {path}")
            start("401 Unauthorized", [("Content-Type", "text/html")])
            return [b"<html>who are you?</html>"]
        environ["PATH_INFO"] = path.removeprefix(BELOW)
        self.seen.append(environ["PATH_INFO"].removeprefix("/api/2.0/mlflow/"))
        fault = next((fault for fault in self.faults if environ["PATH_INFO"].endswith(fault)), None)
        if fault is None:
            return list(self.app(environ, start))
        self.faults.remove(fault)
        list(self.app(environ, lambda *args: None))
        start("502 Bad Gateway", [("Content-Type", "text/html")])
        return [b"<html>no answer</html>"]


def main(folder: str, user: str, password: str) -> None:
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true",
        "_MLFLOW_SERVER_FILE_STORE": f"{folder}/mlruns", "_MLFLOW_SERVER_ARTIFACT_ROOT": f"{folder}/artifacts",
    }  # fmt: skip
    # Its server needs no numpy and no pandas, which would be a third of its start.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    from mlflow.server import app

    server = make_server("127.0.0.1", 0, Guarded(app, user, password), handler_class=Quiet)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
