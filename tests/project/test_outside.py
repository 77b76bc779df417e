"""Dependencies and outputs outside the project: hashed where they are files, asked for where they are addresses."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlbutler.project.lock_check import check_lock
from mlbutler.project.model import NotKnown, Recorded
from mlbutler.project.outside import Outside
from mlbutler.project.project import Project
from mlbutler.record import StagePlan, StageState
from mlbutler.remotes.trust import Agreement
from tests.project.conftest import commit, dvc

UP, STALE, NOT_KNOWN = StageState.UP_TO_DATE, StageState.STALE, StageState.NOT_KNOWN


class Server:
    """Serves one file: its ETag, or the status to refuse with; `hang` answers nothing at all."""

    def __init__(self) -> None:
        self.etag, self.status, self.hang, self.asked = "one", 200, threading.Event(), 0
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                outer.asked += 1
                outer.paths.append(self.path)
                outer.headers.append(dict(self.headers))
                if outer.hang.is_set():
                    outer.released.wait()
                    return
                if outer.status == 0:
                    self.close_connection = True
                    return
                self.send_response(outer.status)
                self.send_header("ETag", f'"{outer.etag}"')
                self.send_header("Content-Length", "2" if self.path.endswith("rows.csv") else "0")
                self.end_headers()
                if self.command == "GET" and outer.status == 200:
                    self.wfile.write(b"1\n")

            do_GET = do_HEAD

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def serving() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, serving: Server) -> tuple[Path, Path]:
    """The folder that all lies in, and a copy of it as it was when it was made."""
    top = tmp_path_factory.mktemp("outside") / "top"
    root = top / "repo" / "project"
    root.mkdir(parents=True)
    (top / "repo" / "lib").mkdir()
    (top / "repo" / "lib" / "util.py").write_text("x = 1\n")
    (top / "shared").mkdir()
    (top / "shared" / "corpus.txt").write_text("words\n")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=top / "repo", check=True)
    dvc(root, "init", "-q", "--subdir")
    dvc(root, "remote", "add", "-q", "data", f"{serving.url}/bucket")
    (root / "dvc.yaml").write_text(
        "stages:\n"
        "  above: {cmd: cp ../lib/util.py above.txt, deps: [../lib/util.py, ../lib], outs: [above.txt]}\n"
        f"  machine: {{cmd: echo m > m.txt, deps: [{top}/shared], outs: [m.txt]}}\n"
        f"  web: {{cmd: echo w > w.txt, deps: ['{serving.url}/rows.csv'], outs: [w.txt]}}\n"
        "  bucket: {cmd: echo b > b.txt, deps: ['remote://data/rows.csv'], outs: [b.txt]}\n"
        "  after: {cmd: cp w.txt after.txt, deps: [w.txt], outs: [after.txt]}\n"
        f"  writes: {{cmd: echo o > {top}/out.txt, outs: [{{{top}/out.txt: {{cache: false}}}}]}}\n"
    )
    dvc(root, "repro", "-q")
    commit(root, "first")
    shutil.copytree(top, top.with_name("copy"), symlinks=True)
    return top, top.with_name("copy")


@pytest.fixture
def server(serving: Server) -> Server:
    """As it was when the project was made."""
    serving.etag, serving.status, serving.asked = "one", 200, 0
    serving.hang.clear()
    serving.headers.clear()
    return serving


@pytest.fixture
def top(template: tuple[Path, Path], server: Server) -> Path:
    """The folder that the repository and what its project reads from the machine lie in."""
    shutil.rmtree(template[0])
    shutil.copytree(template[1], template[0], symlinks=True)
    return template[0]


@pytest.fixture
def project(top: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project below its repository's root that reads from above it, from the machine, and from two servers."""
    monkeypatch.chdir(top / "repo" / "project")
    return top / "repo" / "project"


def plan_stages(root: Path) -> dict[str, StagePlan]:
    return {stage.name: stage for stage in Project(root, {}).planning.plan()}


def states(root: Path) -> dict[str, StageState]:
    return {name: stage.state for name, stage in plan_stages(root).items()}


def test_what_did_not_change_outside_is_up_to_date(project: Path, server: Server) -> None:
    assert set(states(project).values()) == {UP}
    assert server.asked


def test_a_changed_file_above_the_project_makes_its_stage_stale(project: Path) -> None:
    (project.parent / "lib" / "util.py").write_text("x = 2\n")
    stages = plan_stages(project)
    assert stages["above"].state is STALE
    subjects = {cause.subject for cause in stages["above"].causes}
    assert subjects == {str(project.parent / "lib" / "util.py"), str(project.parent / "lib")}
    assert stages["web"].state is UP


def test_a_file_added_to_a_directory_on_the_machine_makes_its_stage_stale(project: Path, top: Path) -> None:
    (top / "shared" / "more.txt").write_text("more\n")
    assert states(project)["machine"] is STALE


def test_what_is_not_on_this_machine_is_not_known(project: Path, top: Path) -> None:
    shutil.rmtree(top / "shared")
    stage = plan_stages(project)["machine"]
    assert stage.state is NOT_KNOWN
    assert [(c.kind, c.subject, c.detail) for c in stage.causes] == [
        ("not known", str(top / "shared"), "it is not on this machine")
    ]
    assert stage.causes[0].remedy


def test_a_changed_output_outside_makes_its_stage_stale(project: Path, top: Path) -> None:
    (top / "out.txt").write_text("other\n")
    assert states(project)["writes"] is STALE
    (top / "out.txt").unlink()
    assert states(project)["writes"] is STALE


def test_another_etag_makes_stages_stale_and_those_after_them(project: Path, server: Server) -> None:
    server.etag = "two"
    found = states(project)
    assert {name for name, state in found.items() if state is STALE} == {"web", "bucket", "after"}


@pytest.mark.parametrize(("status", "reason"), [(403, "the server answers 403"), (500, "the server answers 500")])
def test_a_server_that_refuses_leaves_it_not_known(project: Path, server: Server, status: int, reason: str) -> None:
    server.status = status
    stages = plan_stages(project)
    assert {name for name, stage in stages.items() if stage.state is NOT_KNOWN} == {"web", "bucket", "after"}
    (cause,) = stages["web"].causes
    assert (cause.kind, cause.subject, cause.detail) == ("not known", f"{server.url}/rows.csv", reason)
    assert cause.remedy
    assert [(c.kind, c.subject) for c in stages["after"].causes] == [("not known", "web")]


def test_what_its_server_no_longer_has_cannot_be_read(project: Path, server: Server) -> None:
    server.status = 404
    stage = plan_stages(project)["web"]
    assert stage.state is StageState.CANNOT_RUN
    assert [(c.kind, c.subject) for c in stage.causes] == [("missing", f"{server.url}/rows.csv")]


def test_a_server_that_hangs_up_is_not_known(project: Path, server: Server) -> None:
    server.status = 0
    assert states(project)["web"] is NOT_KNOWN


def test_a_stage_that_is_stale_for_another_cause_is_stale(project: Path, server: Server) -> None:
    server.status = 500
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("echo w", "echo ww"))
    found = states(project)
    assert (found["web"], found["after"], found["bucket"]) == (STALE, STALE, NOT_KNOWN)


def test_a_stage_that_never_ran_is_stale_and_that_its_dependency_is_out_of_reach_is_said(
    project: Path, server: Server
) -> None:
    server.status = 500
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("  web:", "  newly:").replace("w.txt", "n.txt"))
    found = plan_stages(project)
    assert found["newly"].state is STALE
    assert [(c.kind, c.subject, c.detail) for c in found["newly"].causes] == [
        ("never run", "newly", "not in dvc.lock"),
        ("not known", f"{server.url}/rows.csv", "the server answers 500"),
    ]
    fixes = {finding.subject: finding.remedy for finding in check_lock(found.values()).findings}
    assert fixes["newly"] == "dvc repro newly"


def test_a_dependency_that_the_lock_has_never_held_is_stale(project: Path, server: Server) -> None:
    server.status = 500
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("deps: [w.txt]", f"deps: [w.txt, '{server.url}/other']"))
    assert states(project)["after"] is STALE


def test_a_refused_remote_is_not_asked(project: Path, server: Server) -> None:
    config = project / ".dvc" / "config"
    text = config.read_text()
    config.write_text(text.replace("127.0.0.1", "localhost"))
    server.paths.clear()
    agreed = (Agreement({"data": {"url": f"{server.url}/bucket"}}),)
    stages = {stage.name: stage for stage in Project(project, {}, agreed).planning.plan()}
    (cause,) = stages["bucket"].causes
    assert stages["bucket"].state is NOT_KNOWN
    assert "the change sends it from http://127.0.0.1" in cause.detail
    assert stages["web"].state is UP
    assert set(server.paths) == {"/rows.csv"}


def test_credentials_of_a_remote_go_with_its_name_and_not_with_an_address(project: Path, server: Server) -> None:
    dvc(project, "remote", "modify", "data", "auth", "basic")
    server.headers.clear()
    environ = {"MLBUTLER_REMOTE_DATA_USER": "ada", "MLBUTLER_REMOTE_DATA_PASSWORD": "secret"}
    repo = Project(project, environ)
    assert isinstance(repo.outside.ask("remote://data/rows.csv"), Recorded)
    sent = [headers.get("Authorization") for headers in server.headers]
    assert len([value for value in sent if value]) >= 1
    assert None in sent


def test_a_server_that_says_nothing_is_asked_for_so_long_and_no_longer(project: Path, server: Server) -> None:
    """The last of these tests: what hangs is still asking."""
    server.hang.set()
    outside = Outside(Project(project, {}).repo, {}, agreed=False, timeout=0.2)
    answer = outside.ask(f"{server.url}/rows.csv")
    assert isinstance(answer, NotKnown)
    assert answer.reason == "no answer within 0.2 seconds"


def test_storage_whose_plugin_is_missing_is_not_known_and_the_rest_is_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC itself reads no stage of such a project."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    dvc(tmp_path, "init", "-q")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n"
        "  far: {cmd: echo 1 > far.txt, deps: ['oss://bucket/x'], outs: [far.txt]}\n"
        "  shut: {cmd: echo 1 > shut.txt, deps: ['ssh://127.0.0.1:1/x'], outs: [shut.txt]}\n"
        "  near: {cmd: echo 1 > near.txt, outs: [near.txt]}\n"
    )
    md5 = "hash: md5, md5: b026324c6904b2a9cb4b88d6d61c81d1"
    out = "outs: [{path: %s.txt, " + md5 + "}]}\n"
    (tmp_path / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n"
        "  far: {cmd: echo 1 > far.txt, deps: [{path: 'oss://bucket/x', hash: md5, etag: abc}], " + out % "far"
        + "  shut: {cmd: echo 1 > shut.txt, deps: [{path: 'ssh://127.0.0.1:1/x', " + md5 + "}], " + out % "shut"
        + "  near: {cmd: echo 1 > near.txt, " + out % "near"
    )  # fmt: skip
    stages = plan_stages(tmp_path)
    assert {name: stage.state for name, stage in stages.items()} == {"far": NOT_KNOWN, "shut": NOT_KNOWN, "near": UP}
    (cause,) = stages["far"].causes
    assert "requires 'dvc-oss' to be installed" in cause.detail
    assert cause.remedy == "pip install dvc-oss"
