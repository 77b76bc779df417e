"""What unprivileged code wrote in the clone, or in its home, when git talks to the remote with a password."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlbutler.errors import AccessDenied, GitError, UsageError
from mlbutler.git import Git
from mlbutler.git import address as git_address
from mlbutler.git.address import RemoteAccess
from mlbutler.git.out_of_reach import is_out_of_reach
from mlbutler.git.private_repository import GitCredential
from tests.conftest import GitCommand, as_ada
from tests.elsewhere import Elsewhere
from tests.git_server import GitServer

TOKEN, DVC_PASSWORD = "git-t0ken-f0r-tests", "dvc-passw0rd-planted"


@dataclass
class Place:
    """A bare repository behind a password, a clone of it with one commit more, and a home."""

    directory: Path
    server: GitServer
    run: GitCommand

    @property
    def bare(self) -> Path:
        return self.directory / "origin.git"

    @property
    def clone(self) -> Path:
        return self.directory / "clone"

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def marker(self) -> Path:
        return self.directory / "ran"

    @property
    def program(self) -> Path:
        """A program that says that it ran, and with which environment."""
        path = self.directory / "program"
        path.write_text(f"#!/bin/sh\nenv >> '{self.marker}'\ncat > /dev/null\nexit 1\n")
        path.chmod(0o755)
        return path

    def git(self, more: Mapping[str, str] = {}, *, address: str | None = None) -> Git:
        environ = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "MLBUTLER_REMOTE_PASSWORD": DVC_PASSWORD,
            "MLBUTLER_FORGE_TOKEN": "forge-t0ken-planted", **self.server.environ(TOKEN), **more,
        }  # fmt: skip
        where = git_address.parse_git_address(address) if address else git_address.from_environment(environ)
        return Git(self.clone, environ, RemoteAccess(where, fresh=False))


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a place is made of; somebody else has pushed since it was cloned."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GIT_TEMPLATE_DIR", str(folder / "none"))  # sample hooks are many files
        as_ada(folder, "init", "-q", "--bare", "-b", "main", "origin.git")
        as_ada(folder / "origin.git", "config", "http.receivepack", "true")
        for name, branch in (("clone", "main"), ("author", "other")):
            as_ada(folder, "clone", "-q", "origin.git", name)
            (folder / name / "file").write_text("one")
            as_ada(folder / name, "add", "-A")
            as_ada(folder / name, "commit", "-q", "--allow-empty", "-m", name)
            as_ada(folder / name, "push", "-q", "origin", f"HEAD:{branch}")
    as_ada(folder / "clone", "commit", "-q", "--allow-empty", "-m", "two")
    return folder


@pytest.fixture
def place(master: Path, tmp_path: Path, git: GitCommand) -> Iterator[Place]:
    server = GitServer(tmp_path, "ci-bot", TOKEN)
    place = Place(tmp_path, server, git)
    for name in ("origin.git", "clone"):
        shutil.copytree(master / name, tmp_path / name, symlinks=True)
    config = place.clone / ".git" / "config"
    config.write_text(config.read_text().replace(str(master / "origin.git"), f"{server.url}/origin.git"))
    place.home.mkdir()
    yield place
    server.close()


PROXY = '[remote "origin"]\n\tpushurl = {0}/x.git\n[http]\n\tproxy = {0}\n'
HOSTILE: dict[str, Callable[[Place, Elsewhere], dict[str, str]]] = {
    "remote.url": lambda p, e: {"remote.origin.url": f"{e.url}/x.git"},
    "remote.pushurl": lambda p, e: {"remote.origin.pushurl": f"{e.url}/x.git"},
    "remote.url ext": lambda p, e: {"remote.origin.url": f"ext::{p.program}", "protocol.ext.allow": "always"},
    "remote.proxy": lambda p, e: {"remote.origin.proxy": e.url},
    "remote.vcs": lambda p, e: {"remote.origin.vcs": "ext", "protocol.ext.allow": "always"},
    "remote.receivepack": lambda p, e: {"remote.origin.receivepack": str(p.program)},
    "remote by address": lambda p, e: {f"remote.{p.server.url}/origin.git.pushurl": f"{e.url}/x.git"},
    "insteadOf": lambda p, e: {f"url.{e.url}/.insteadOf": p.server.url},
    "pushInsteadOf": lambda p, e: {f"url.{e.url}/.pushInsteadOf": p.server.url},
    "insteadOf ext": lambda p, e: {f"url.ext::{p.program} .insteadOf": "http:", "protocol.ext.allow": "always"},
    "http.proxy": lambda p, e: {"http.proxy": e.url},
    "http.url.proxy": lambda p, e: {f"http.{p.server.url}/.proxy": e.url},
    "http.extraHeader": lambda p, e: {"http.extraHeader": "Authorization: Basic bm9ib2R5Om5vdGhpbmc="},
    "http.curloptResolve": lambda p, e: {"http.curloptResolve": f"{p.server.url.removeprefix('http://')}:127.9.9.9"},
    "credential.helper": lambda p, e: {"credential.helper": f"!{p.program}"},
    "credential.url.helper": lambda p, e: {f"credential.{p.server.url}.helper": f"!{p.program}"},
    "core.askPass": lambda p, e: {"core.askPass": str(p.program)},
    "core.sshCommand": lambda p, e: {"core.sshCommand": str(p.program)},
    "core.gitProxy": lambda p, e: {"core.gitProxy": str(p.program)},
    "core.hooksPath": lambda p, e: {"core.hooksPath": str(hooks(p))},
    "core.fsmonitor": lambda p, e: {"core.fsmonitor": str(p.program)},
    "core.alternateRefsCommand": lambda p, e: {"core.alternateRefsCommand": str(p.program)},
    "include.path": lambda p, e: {"include.path": write_included(p, PROXY.format(e.url))},
    "includeIf": lambda p, e: {"includeIf.gitdir:/.path": write_included(p, PROXY.format(e.url))},
    "filter": lambda p, e: {"filter.x.clean": str(p.program), "filter.x.process": str(p.program)},
    "push.gpgSign": lambda p, e: {"push.gpgSign": "true", "gpg.program": str(p.program)},
    "alias": lambda p, e: {f"alias.{verb}": f"!{p.program}" for verb in ("push", "fetch", "ls-remote")},
    "submodules": lambda p, e: {"push.recurseSubmodules": "on-demand", "fetch.recurseSubmodules": "true"},
    "worktreeConfig": lambda p, e: in_worktree(p, e),
    "includeIf hasconfig": lambda p, e: {
        f"includeIf.hasconfig:remote.*.url:{p.server.url}/**.path": write_included(p, PROXY.format(e.url))
    },
    "includeIf onbranch": lambda p, e: {"includeIf.onbranch:**.path": write_included(p, PROXY.format(e.url))},
    "remote.pushDefault": lambda p, e: {"remote.pushDefault": "evil", "remote.evil.url": f"{e.url}/x.git"},
    "branch.pushRemote": lambda p, e: {"branch.main.pushRemote": "evil", "remote.evil.url": f"{e.url}/x.git"},
    "remotes group": lambda p, e: {"remotes.origin": "evil", "remote.evil.url": f"{e.url}/x.git"},
    "promisor": lambda p, e: {
        "extensions.partialClone": "evil", "remote.evil.promisor": "true", "remote.evil.url": f"ext::{p.program}",
        "protocol.ext.allow": "always", "core.repositoryFormatVersion": "1",
    },
    "bundle uri": lambda p, e: {"fetch.bundleURI": f"{e.url}/bundle", "transfer.bundleURI": "true"},
    "uploadpack hook": lambda p, e: {"uploadpack.packObjectsHook": str(p.program)},
    "merge driver": lambda p, e: {"merge.x.driver": str(p.program), "merge.default": "x"},
    "diff and textconv": lambda p, e: {"diff.external": str(p.program), "diff.x.textconv": str(p.program)},
    "core.worktree": lambda p, e: {"core.worktree": str(elsewhere_tree(p))},
    "http.cookieFile": lambda p, e: {"http.cookieFile": cookies(p), "http.saveCookies": "true"},
    "http.sslCAInfo": lambda p, e: {"http.sslVerify": "false", "http.sslCAInfo": "/dev/null", "http.emptyAuth": "true"},
    "http.followRedirects": lambda p, e: {"http.followRedirects": "true", "http.proactiveAuth": "basic"},
    "credential.useHttpPath": lambda p, e: {"credential.useHttpPath": "true", "credential.username": "mallory"},
    "ssh.variant": lambda p, e: {"ssh.variant": "simple", "core.sshCommand": str(p.program)},
    "core.pager and editor": lambda p, e: {
        "core.pager": str(p.program), "core.editor": str(p.program), "sequence.editor": str(p.program)
    },
    "commit signing": lambda p, e: {"commit.gpgSign": "true", "gpg.format": "ssh", "gpg.ssh.program": str(p.program)},
    "maintenance": lambda p, e: {"maintenance.auto": "true", "gc.auto": "1", "gc.recentObjectsHook": str(p.program)},
    "trace2": lambda p, e: {"trace2.eventTarget": str(p.marker), "trace2.envVars": "MLBUTLER_GIT_TOKEN"},
}  # fmt: skip


def hooks(place: Place) -> Path:
    folder = place.directory / "hooks"
    folder.mkdir(exist_ok=True)
    for name in ("pre-push", "reference-transaction", "post-checkout", "pre-auto-gc"):
        shutil.copy(place.program, folder / name)
    return folder


def write_included(place: Place, text: str) -> str:
    file = place.directory / "included"
    file.write_text(text)
    return str(file)


def in_worktree(place: Place, elsewhere: Elsewhere) -> dict[str, str]:
    (place.clone / ".git" / "config.worktree").write_text(PROXY.format(elsewhere.url))
    return {"extensions.worktreeConfig": "true"}


def elsewhere_tree(place: Place) -> Path:
    folder = place.directory / "tree elsewhere"
    folder.mkdir(exist_ok=True)
    return folder


def cookies(place: Place) -> str:
    file = place.directory / "cookies"
    file.write_text("")
    return str(file)


def everything_goes_to_the_right_place(place: Place, elsewhere: Elsewhere, git: Git) -> None:
    """Ask, fetch and push, and see who was asked, what ran, and what arrived."""
    other = place.run(place.bare, "rev-parse", "other")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=place.clone, env={"PATH": os.environ["PATH"]},
                            capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    assert git.remote_refs("origin", "refs/heads/other") == {"refs/heads/other": other}
    fetched = git.fetch("origin", "+refs/heads/other:refs/remotes/origin/other")
    assert fetched.text == other, fetched.err
    assert git.resolve("refs/remotes/origin/other") == other
    done = git.push("origin", commit, "refs/heads/results", expected="")
    assert done.code == 0, done.err
    assert place.run(place.bare, "rev-parse", "refs/heads/results") == commit
    assert elsewhere.came == []
    said = place.marker.read_text() if place.marker.exists() else ""
    assert not any(secret in said for secret in (TOKEN, DVC_PASSWORD, "forge-t0ken-planted"))


@pytest.mark.parametrize("name", HOSTILE)
def test_settings_that_code_wrote_are_not_obeyed(place: Place, elsewhere: Elsewhere, name: str) -> None:
    for key, value in HOSTILE[name](place, elsewhere).items():
        place.run(place.directory, "config", "--file", str(place.clone / ".git" / "config"), key, value)
    everything_goes_to_the_right_place(place, elsewhere, place.git())


def test_nor_are_those_in_the_home(place: Place, elsewhere: Elsewhere) -> None:
    file = place.home / ".gitconfig"
    for settings in HOSTILE.values():
        for key, value in settings(place, elsewhere).items():
            place.run(place.directory, "config", "--file", str(file), key, value)
    everything_goes_to_the_right_place(place, elsewhere, place.git({"GIT_CONFIG_GLOBAL": str(file)}))


def test_files_that_code_wrote_are_not_obeyed(place: Place, elsewhere: Elsewhere) -> None:
    inside = place.clone / ".git"
    for name in ("pre-push", "reference-transaction", "post-index-change"):
        (inside / "hooks").mkdir(exist_ok=True)
        shutil.copy(place.program, inside / "hooks" / name)
    (inside / "info").mkdir(exist_ok=True)
    (inside / "info" / "attributes").write_text("* filter=x\n")
    (inside / "info" / "grafts").write_text(f"{place.run(place.clone, 'rev-parse', 'HEAD')}\n")
    (place.home / ".netrc").write_text("machine 127.0.0.1 login nobody password nothing\n")
    (place.home / ".config" / "git").mkdir(parents=True)
    (place.home / ".config" / "git" / "config").write_text(f"[http]\n\tproxy = {elsewhere.url}\n")
    (place.clone / "git").symlink_to(place.program)
    (place.clone / "git-remote-http").symlink_to(place.program)
    path = f"{place.clone}:.:{os.environ['PATH']}"
    everything_goes_to_the_right_place(place, elsewhere, place.git({"PATH": path}))
    assert not place.marker.exists()


def test_alternates_of_another_repository_run_nothing_there(place: Place, elsewhere: Elsewhere) -> None:
    evil = place.directory / "evil.git"
    place.run(place.directory, "init", "-q", "--bare", str(evil))
    place.run(evil, "config", "core.fsmonitor", str(place.program))
    (place.clone / ".git" / "objects" / "info" / "alternates").write_text(f"{evil}/objects\n")
    everything_goes_to_the_right_place(place, elsewhere, place.git())
    assert not place.marker.exists()


@pytest.mark.parametrize("how", ["file", "link", "commondir"])
def test_another_repository_in_place_of_the_clone_s(place: Place, elsewhere: Elsewhere, how: str) -> None:
    inside, moved = place.clone / ".git", place.directory / "moved"
    shutil.copytree(inside, moved)
    place.run(moved, "config", "--file", str(moved / "config"), "remote.origin.pushurl", f"{elsewhere.url}/x.git")
    place.run(moved, "config", "--file", str(moved / "config"), "http.proxy", elsewhere.url)
    if how == "commondir":
        (inside / "commondir").write_text(f"{moved}\n")
    else:
        shutil.rmtree(inside)
        inside.write_text(f"gitdir: {moved}\n") if how == "file" else inside.symlink_to(moved)
    everything_goes_to_the_right_place(place, elsewhere, place.git())


def test_a_replaced_commit_is_not_what_is_pushed(place: Place, elsewhere: Elsewhere) -> None:
    head = place.run(place.clone, "rev-parse", "HEAD")
    place.run(place.clone, "replace", head, place.run(place.clone, "rev-parse", "HEAD~1"))
    everything_goes_to_the_right_place(place, elsewhere, place.git())


def test_git_is_given_its_own_password_alone(place: Place) -> None:
    """What the local side of a transport could read, seen by a program that the owner names."""
    program = place.program
    program.write_text(f"#!/bin/sh\nenv > '{place.marker}'\nexit 1\n")
    git = place.git({"GIT_SSH_COMMAND": str(program)}, address="git@host.example:x.git")
    with pytest.raises((GitError, AccessDenied)):
        git.remote_refs("origin")
    said = place.marker.read_text()
    assert not any(secret in said for secret in (TOKEN, DVC_PASSWORD, "forge-t0ken-planted"))


def test_a_redirection_to_another_server_gets_no_password(place: Place, elsewhere: Elsewhere) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"{elsewhere.url}{self.path}")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        with pytest.raises((GitError, AccessDenied)):
            place.git(address=f"http://127.0.0.1:{server.server_port}/origin.git").remote_refs("origin")
    finally:
        server.shutdown()
        server.server_close()
    assert elsewhere.came
    assert elsewhere.was_sent_no_password()


@pytest.mark.parametrize("text", ["ext::sh -c id", "fd::7", "--upload-pack=id", "-x:y", "git://host/x", "ftp://h/x",
                                  "http:///x", "a\nb", "", "relative/path", "ssh://-oProxyCommand=id/x"])  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        git_address.parse_git_address(text)


@pytest.mark.parametrize(("environ", "url"), [
    ({"GIT_URL": "https://ci:pw@host/x.git"}, "https://host/x.git"),
    ({"GIT_URL": "git@host:team/x.git"}, "git@host:team/x.git"),
    ({"MLBUTLER_GIT_URL": "/srv/x.git", "GIT_URL": "https://other/x"}, "/srv/x.git"),
    ({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "a/b"}, "https://github.com/a/b.git"),
    ({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "a/b", "GITHUB_SERVER_URL": "https://ghe"}, "https://ghe/a/b.git"),
    ({"GITLAB_CI": "true", "CI_PROJECT_URL": "https://gl/a/b"}, "https://gl/a/b.git"),
    ({"CIRCLE_REPOSITORY_URL": "git@github.com:a/b.git"}, "git@github.com:a/b.git"),
    ({"PATH": "/bin"}, None),
])  # fmt: skip
def test_the_address_is_the_ci_server_s(environ: dict[str, str], url: str | None) -> None:
    found = git_address.from_environment(environ)
    assert (found.url if found else None) == url


def test_a_ci_server_s_token_is_for_its_own_host() -> None:
    environ = {"GITHUB_TOKEN": "t0ken", "GITHUB_SERVER_URL": "https://github.com"}
    assert GitCredential.of(environ, git_address.parse_git_address("https://github.com/a/b.git")).password == "t0ken"
    assert GitCredential.of(environ, git_address.parse_git_address("https://github.com.evil/a/b.git")).password == ""
    assert GitCredential.of(environ, git_address.parse_git_address("http://github.com/a/b.git")).password == ""


def test_a_clone_that_is_cut_off_is_lengthened(place: Place) -> None:
    shallow = place.directory / "shallow"
    place.run(place.directory, "clone", "-q", "--depth=1", f"file://{place.bare}", str(shallow))
    first = place.run(place.bare, "rev-parse", "main")
    place.run(place.clone, "push", "-q", str(place.bare), "HEAD:main")
    git = Git(shallow, {"PATH": os.environ["PATH"], **place.server.environ(TOKEN)},
              RemoteAccess(git_address.parse_git_address(f"{place.server.url}/origin.git"), fresh=False))  # fmt: skip
    assert git.is_shallow()
    assert git.fetch("origin", "+refs/heads/main:refs/remotes/origin/main", depth=1).code == 0
    assert git.parents("refs/remotes/origin/main") == ()
    assert git.fetch("origin", "HEAD", unshallow=True).code == 0
    assert git.parents("refs/remotes/origin/main") == (first,)
    assert not git.is_shallow()


def test_without_an_address_nothing_is_pushed_and_no_password_is_used(place: Place) -> None:
    git = Git(place.clone, {"PATH": os.environ["PATH"], "MLBUTLER_GIT_TOKEN": TOKEN}, RemoteAccess(None, fresh=False))
    for act in (lambda: git.push("origin", "HEAD", "refs/heads/x", expected=""), lambda: git.remote_refs("origin")):
        with pytest.raises(UsageError) as caught:
            act()
        assert "MLBUTLER_GIT_URL" in caught.value.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="files that belong to root are needed")
def test_nothing_is_out_of_reach_of_root(tmp_path: Path) -> None:
    assert not is_out_of_reach(Path("/etc/passwd"))
    assert not is_out_of_reach(tmp_path / "none")


def legacy_remotes(place: Place, elsewhere: Elsewhere) -> None:
    for folder in ("remotes", "branches"):
        (place.clone / ".git" / folder).mkdir(exist_ok=True)
    (place.clone / ".git" / "remotes" / "origin").write_text(f"URL: {elsewhere.url}/x.git\nPush: HEAD:evil\n")
    (place.clone / ".git" / "branches" / "origin").write_text(f"{elsewhere.url}/x.git\n")


def objects_behind_a_link(place: Place, elsewhere: Elsewhere) -> None:
    evil = place.directory / "evil"
    shutil.copytree(place.clone / ".git", evil)
    place.run(evil, "config", "--file", str(evil / "config"), "remote.origin.pushurl", f"{elsewhere.url}/x.git")
    shutil.rmtree(place.clone / ".git" / "objects")
    (place.clone / ".git" / "objects").symlink_to(evil / "objects")


def http_alternates(place: Place, elsewhere: Elsewhere) -> None:
    info = place.clone / ".git" / "objects" / "info"
    info.mkdir(exist_ok=True)
    (info / "http-alternates").write_text(f"{elsewhere.url}/x.git/objects\n")
    (info / "alternates").write_text(f"{place.directory}/none\n\n/proc/self/environ\n")


def forged_graph(place: Place, elsewhere: Elsewhere) -> None:
    place.run(place.clone, "commit-graph", "write", "--reachable")
    file = place.clone / ".git" / "objects" / "info" / "commit-graph"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-40] + b"\0" * 40)


def forged_refs(place: Place, elsewhere: Elsewhere) -> None:
    head = place.run(place.clone, "rev-parse", "HEAD")
    (place.clone / ".git" / "packed-refs").write_text(
        "".join(f"{head} refs/{name}\n" for name in ("heads/--upload-pack=x", "heads/ext", "remotes/origin/results"))
    )


def forged_shallow(place: Place, elsewhere: Elsewhere) -> None:
    (place.clone / ".git" / "shallow").write_text(place.run(place.clone, "rev-parse", "HEAD") + "\n")


FILES = [legacy_remotes, objects_behind_a_link, http_alternates, forged_graph, forged_refs, forged_shallow]


@pytest.mark.parametrize("forge", FILES, ids=lambda forge: forge.__name__)
def test_whatever_lies_in_the_clone_the_password_goes_to_the_repository_alone(
    place: Place, elsewhere: Elsewhere, forge: Callable[[Place, Elsewhere], None]
) -> None:
    git, before = place.git(), place.run(place.bare, "for-each-ref")
    commit = place.run(place.clone, "rev-parse", "HEAD")
    forge(place, elsewhere)
    try:
        git.remote_refs("origin")
        git.fetch("origin", "+refs/heads/main:refs/remotes/origin/main")
        pushed = git.push("origin", commit, "refs/heads/results", expected="").code == 0
        git.show(commit, "file")
        git.dirty()
    except GitError:
        pushed = False
    after = place.run(place.bare, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/results")
    assert after == (f"{commit} refs/heads/results" if pushed else ""), before
    assert elsewhere.came == []
    said = place.marker.read_text() if place.marker.exists() else ""
    assert not any(secret in said for secret in (TOKEN, DVC_PASSWORD, "forge-t0ken-planted"))
