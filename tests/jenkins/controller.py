"""A controller's answers over HTTP, as far as a local server needs them: also a program, in the place of Java.

A password needs a crumb, and the crumb the session's cookie; while it starts everything answers 503.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import threading
import time
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from tests.jenkins.farm import Farm

CRUMB, COOKIE = "c0ffee", "JSESSIONID.1=abc"
SECRET = "5ec2e7" * 8


class Handler(BaseHTTPRequestHandler):
    """One request. `server.password` is the administrator's; `server.token` his API token, which needs no crumb."""

    server: Controller

    def do_GET(self) -> None:
        """What is read."""
        path, _, query = self.path.removeprefix(self.server.prefix).partition("?")
        if self.server.starting > 0:
            self.server.starting -= 1
            return self._send(503, b"Please wait while Jenkins is getting ready to work ...")
        if self.server.failed:  # whatever is asked for
            return self._send(500, b"<html>")
        if path == "/login":
            return self._send(200, b"<html>")
        if self.server.redirects:
            return self._send(302, b"", Location="/login?from=x")
        if path == "/agent-came":
            self.server.agent = True
            return self._send(200, b"")
        if not self._is_allowed():
            return self._send(401, b"")
        given = {name: values[0] for name, values in parse_qs(query).items()}
        if self.server.farm is not None and (played := self.server.farm.get(path, given)) is not None:
            return self._send(played[0], played[1], **played[2])
        if path == "/crumbIssuer/api/json":
            answer = json.dumps({"crumb": CRUMB, "crumbRequestField": "Jenkins-Crumb"}).encode()
            return self._send(200, answer, **{"Set-Cookie": f"{COOKIE}; Path=/"})
        if path == "/computer/agent/api/json":
            return self._send(200, json.dumps({"offline": not self.server.agent}).encode())
        if path == "/api/json":
            jobs = [{"name": self.server.job}] if self.server.job else []
            return self._send(200, json.dumps({"jobs": jobs}).encode())
        return self._send(404, b"")

    def do_POST(self) -> None:
        """What is sent."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if not self._is_allowed():
            return self._send(401, b"")
        with_password = not self._with_token()
        if with_password and (
            self.headers.get("Jenkins-Crumb") != CRUMB or COOKIE not in self.headers.get("Cookie", "")
        ):
            return self._send(403, b"No valid crumb was included in the request")
        path, _, query = self.path.removeprefix(self.server.prefix).partition("?")
        if self.server.farm is not None:
            given, form = ({name: values[0] for name, values in parse_qs(text).items()} for text in (query, body))
            if (played := self.server.farm.post(path, given, form)) is not None:
                return self._send(played[0], played[1], **played[2])
        if path == "/scriptText" and "getJnlpMac" in parse_qs(body)["script"][0]:
            return self._send(200, f"{SECRET}\n".encode())
        if path == "/pipeline-model-converter/validateJenkinsfile" and self.server.validates:
            text = parse_qs(body)["jenkinsfile"][0]
            found = [{"error": ['Missing required section "agent" @ line 1']}] if "agent" not in text else []
            data = {"result": "failure" if found else "success", "errors": found}
            return self._send(200, json.dumps({"status": "ok", "data": data}).encode())
        if path.endswith("/descriptorByName/org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition/checkScriptCompile"):
            return self._compile(path.partition("/descriptorByName")[0], parse_qs(body)["value"][0])
        return self._send(404, b"")

    def _compile(self, item: str, text: str) -> None:
        """As CpsFlowDefinition.DescriptorImpl.doCheckScriptCompile does, for Groovy whose braces alone are counted."""
        if not item:
            return self._send(500, b"NullPointerException: job")
        if not self.server.configures or text.count("{") == text.count("}"):
            return self._send(200, b'{"status":"success"}')
        fault = {"column": 1, "line": text.count("\n") + 1, "message": "unexpected token: ", "status": "fail"}
        return self._send(200, json.dumps([fault]).encode())

    def _is_allowed(self) -> bool:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        given = base64.b64decode(value).decode() if scheme == "Basic" else ""
        return given in (f"admin:{self.server.password}", f"somebody:{self.server.token}")

    def _with_token(self) -> bool:
        return base64.b64decode(self.headers["Authorization"].partition(" ")[2]).decode().startswith("somebody:")

    def _send(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"X-Jenkins": "2.568.2", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts and "logText" in self.path else len(body)
        self.wfile.write(body[:cut])
        self.server.sent += cut

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean; remember what was asked."""
        self.server.asked.append(f"{self.command} {self.path}")


class Controller(ThreadingHTTPServer):
    """A controller on loopback."""

    daemon_threads = True

    def __init__(self, port: int = 0, password: str = "", token: str = "") -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.password, self.token = password, token
        self.prefix, self.job = "", ""
        self.starting = 0
        self.agent = self.redirects = self.failed = False
        self.validates = self.configures = True
        self.asked: list[str] = []
        self.farm: Farm | None = None
        self.sent = 0
        """Bytes of all answers' bodies."""
        self.cuts: list[int] = []
        """After so many bytes the next answers with a log break off."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}{self.prefix}/"

    def serve(self) -> Controller:
        """Answer in a thread."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self


def main() -> None:
    """Stand in for ``java``: a controller for a WAR, a connected agent for an agent's jar.

    ``PLAYED_JAVA`` is its version; ``PLAYED_AGENT`` is what an agent ends with.
    """
    arguments = " ".join(sys.argv[1:])
    if arguments == "-version":
        print(f'openjdk version "{os.environ.get("PLAYED_JAVA", "21.0.5")}" 2024-10-15', file=sys.stderr)
        return
    if port := re.search(r"--httpPort=(\d+)", arguments):
        secrets = Path(os.environ["SECRETS"])
        configuration = (Path(os.environ["CASC_JENKINS_CONFIG"]) / "jenkins.yaml").read_text()
        if "broken" in configuration:
            print("java.lang.IllegalStateException: configuration is broken", flush=True)
            sys.exit(5)
        controller = Controller(int(port[1]), (secrets / "ADMIN_PASSWORD").read_text())
        controller.job = re.search(r"multibranchPipelineJob\('([^']+)'\)", configuration)[1]  # type: ignore[index]
        controller.starting = 2
        controller.failed = "failing" in configuration
        print(json.dumps(dict(os.environ)), flush=True)
        controller.serve_forever()
    if end := os.environ.get("PLAYED_AGENT"):
        print(end, file=sys.stderr)
        sys.exit(1)
    url, secret = _agent(arguments)
    assert Path(secret).read_text() == SECRET
    with urllib.request.urlopen(f"{url}agent-came") as answer:
        answer.read()
    time.sleep(600)


def _agent(arguments: str) -> tuple[str, str]:
    """The controller's address and the file of the secret, from options that the agent's remoting knows."""
    work = r"-webSocket -workDir \S+"
    if raw := re.fullmatch(rf"-cp \S+ hudson.remoting.jnlp.Main -headless -url (\S+) {work} @(\S+) agent", arguments):
        return raw[1], raw[2]
    launched = re.fullmatch(rf"-jar (\S+) -url (\S+) {work} -name agent -secret @(\S+)", arguments)
    assert launched is not None, arguments
    with zipfile.ZipFile(launched[1]) as jar:
        manifest = jar.read("META-INF/MANIFEST.MF").decode().replace("\r\n ", "")
    if int(re.search(r"^Version: (\d+)", manifest, re.MULTILINE)[1]) < 3186:  # type: ignore[index]
        sys.exit('"-url" is not a valid option')
    return launched[2], launched[3]


if __name__ == "__main__":
    main()
