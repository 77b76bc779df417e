"""A real S3 API (moto) behind a gate that looks at signatures, notes requests and makes faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from werkzeug.serving import WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from tests.store.buckets import KEYS


class Seen(NamedTuple):
    method: str
    path: str
    query: str
    authorization: str
    agent: str

    @property
    def quick(self) -> bool:
        """Tell whether it is not from DVC's client."""
        return self.agent == "mlbutler"

    @property
    def lists(self) -> bool:
        return "list-type" in self.query


class Quiet(WSGIRequestHandler):
    """Keeps connections, and logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, *_: Any) -> None:
        pass


Fault = Callable[[Seen], tuple[int, dict[str, str], str] | None]


def error(status: int, code: str, **headers: str) -> tuple[int, dict[str, str], str]:
    return status, headers, f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'


class Gate:
    """WSGI in front of moto.

    Attributes:
        fault: returns an answer to give instead of moto's. requests: all that came, or faults had an answer to.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.url = ""
        self.reset("")

    def reset(self, bucket: str) -> None:
        self.bucket = bucket
        self.fault: Fault = lambda _: None
        self.requests: list[Seen] = []
        self.wrong: list[str] = []

    def quick(self) -> list[Seen]:
        return [seen for seen in self.requests if seen.quick]

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        request = Request(environ)
        path, _, query = environ["RAW_URI"].partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.method, path, query, headers.get("authorization", ""), headers.get("user-agent", ""))
        self.requests.append(seen)
        if seen.quick and seen.authorization and not self._is_signed(seen, headers):
            self.wrong.append(path)
            return Response(error(403, "SignatureDoesNotMatch")[2], 403)(environ, start)
        fault = self.fault(seen)
        if fault is not None:
            status, more, body = fault
            return Response("" if seen.method == "HEAD" else body, status, more)(environ, start)
        answer: Iterable[bytes] = self._app(environ, start)
        return answer

    def _is_signed(self, seen: Seen, headers: dict[str, str]) -> bool:
        """Sign the request again as botocore does, and compare."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        region = seen.authorization.split("/")[2]
        names = seen.authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        if not {name for name in headers if name.startswith("x-amz-")} <= set(names):
            return False
        query = f"?{seen.query}" if seen.query else ""
        again = AWSRequest(seen.method, f"{self.url}{seen.path}{query}", {name: headers[name] for name in names})
        again.context["timestamp"] = headers["x-amz-date"]
        auth = S3SigV4Auth(Credentials("key", KEYS["secret_access_key"]), "s3", region)
        signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
        return seen.authorization.endswith(signature)
