from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http_client import plain
from tests.store.s3.gate import Gate, Quiet

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def _gate() -> Iterator[Gate]:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    gate = Gate(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, gate, threaded=True, request_handler=Quiet)
    gate.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield gate
    server.shutdown()
    server.server_close()


@pytest.fixture
def gate(_gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gate:
    """S3 in front of which faults are made, with a bucket of its own, and no settings of the user's."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    _gate.reset(f"gated-{next(_NUMBERS)}")
    plain().put(f"{_gate.url}/{_gate.bucket}").raise_for_status()
    _gate.requests.clear()
    return _gate
