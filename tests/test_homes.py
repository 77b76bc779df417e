"""Of a home programs see what they need, and no key; of services no socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler import isolation
from mlbutler.homes import homes, programs
from mlbutler.isolation import Places, prefix
from mlbutler.sockets import sockets

needs_bubblewrap = pytest.mark.skipif(bool(isolation.problem()), reason=isolation.problem())
SECRET = "planted-token"
SECRETS = (
    ".ssh/id_rsa", ".netrc", ".aws/credentials", ".config/gh/hosts.yml", ".config/gcloud/x.json", ".docker/config.json",
    ".kube/config", ".pypirc", ".jenkins/secrets/master.key", ".gitconfig", ".local/share/keyrings/x",
    ".cargo/credentials",
    ".cache/huggingface/token", ".conda/environments.txt", "keys/deploy", "projects/other/.env", "notes.txt",
    "miniconda3/token", ".local/share/pipx/venvs/tool/auth.toml",
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with secrets, environments and the workspace of a build, as an agent's user has them."""
    home = tmp_path / "home" / "ci"
    for name in SECRETS:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(SECRET)
    files = {
        "miniconda3/conda-meta/history": "", "miniconda3/envs/gpu/conda-meta/history": "",
        "miniconda3/envs/gpu/lib/x.so": "x",
        ".pyenv/shims/python": "", ".pyenv/version": "3.11\n", ".pyenv/versions/3.11/lib/python3.11/os.py": "",
        ".pyenv/versions/3.11/bin/python3.11": "", ".local/lib/python3.11/site-packages/mine.py": "x = 1\n",
        ".local/share/pipx/venvs/tool/pyvenv.cfg": "", ".local/share/pipx/venvs/tool/bin/tool": "",
        "work/job/.venv/pyvenv.cfg": "", "work/job/data.csv": "1\n", "datasets/a.csv": "1\n", "bin/own": "",
    }  # fmt: skip
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    for name in ("miniconda3/condabin", "miniconda3/envs/gpu/bin", ".local/bin", "work/job/.venv/bin"):
        (home / name).mkdir(parents=True)
    (home / ".local/bin/tool").symlink_to(home / ".local/share/pipx/venvs/tool/bin/tool")
    (home / "work/job/.venv/bin/python").symlink_to(home / ".pyenv/versions/3.11/bin/python3.11")
    return home


def environ(home: Path, **more: str) -> dict[str, str]:
    path = [
        home / name for name in ("miniconda3/envs/gpu/bin", "miniconda3/condabin", ".pyenv/shims", ".local/bin", "bin")
    ]
    return {"HOME": str(home), "PATH": os.pathsep.join((*map(str, path), "/usr/bin", "/bin")), **more}


def find_programs(home: Path, **more: str) -> set[str]:
    shown = programs(environ(home, **more), [home.parent], [home / "work" / "job"])
    return {str(path.relative_to(home)) for path in shown}


def test_what_programs_need_is_found_whoever_installed_them(home: Path) -> None:
    assert find_programs(home) == {
        "miniconda3", "miniconda3/envs/gpu", ".pyenv", ".pyenv/versions/3.11", ".local/bin", ".local/lib",
        ".local/share/pipx/venvs/tool", "bin",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "value", "is_shown"), [
    ("HF_HOME", "datasets", True), ("PYTHONPATH", "datasets", True), ("R_LIBS_USER", "datasets", True),
    ("SSL_CERT_FILE", "datasets/a.csv", True), ("CHANGE_TITLE", "keys", False), ("CHANGE_BRANCH", "keys", False),
    ("CI_COMMIT_TITLE", ".ssh", False), ("CARGO_HOME", ".cargo", False), ("XDG_CONFIG_HOME", ".config", False),
    ("GIT_CONFIG_GLOBAL", ".gitconfig", False), ("SOMETHING", "keys", False),
])  # fmt: skip
def test_variables_name_what_programs_need_and_no_text_of_a_pull_request_does(
    home: Path, name: str, value: str, is_shown: bool
) -> None:
    assert (value in find_programs(home, **{name: str(home / value)})) is is_shown


def test_a_link_of_the_workspace_leads_to_an_installation_of_python_and_nowhere_else(home: Path) -> None:
    link = home / "work/job/.venv/bin/python"
    link.unlink()
    link.symlink_to(home / ".ssh" / "id_rsa")
    assert not {path for path in find_programs(home) if path.startswith(".ssh")}
    assert ".pyenv/versions/3.11" not in find_programs(home)


def test_what_holds_the_system_is_no_home(tmp_path: Path) -> None:
    for home in ("/", "/usr", "/bin"):
        assert Path(home) not in homes({"HOME": home, "PATH": "/usr/bin:/bin"})
    assert tmp_path in homes({"HOME": str(tmp_path), "PATH": "/usr/bin"})
    assert tmp_path in homes({"JENKINS_HOME": str(tmp_path)})
    assert tmp_path not in homes({"HOME": str(tmp_path), "PATH": str(tmp_path)})


def run(places: Places, own: Path, script: str, home: Path, cwd: Path) -> str:
    own.mkdir(exist_ok=True)
    made = prefix(places, own)
    told = environ(home, PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run([*made, sys.executable, "-c", script], cwd=cwd, env=told, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_bubblewrap
def test_no_planted_token_is_found_and_every_environment_is(home: Path, tmp_path: Path) -> None:
    workspace = home / "work" / "job"
    shown = programs(environ(home), [home.parent], [workspace])
    # Python itself may lie in a home.
    own = (Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve())
    places = Places(workspace, homes=(home.parent,), home=home, readable=(*shown, *own, home / "datasets"))
    script = f"""
import os, pathlib
home = pathlib.Path({str(home)!r})
for folder, _, files in os.walk(home):
    for name in files:
        text = pathlib.Path(folder, name).read_text()
        print("TOKEN" if {SECRET!r} in text else "file", pathlib.Path(folder, name).relative_to(home))
(home / ".cache").mkdir()
(home / ".cache" / "mine").write_text("x")
try:
    (home / "datasets" / "mine").write_text("x")
    print("WRITTEN")
except OSError:
    pass
"""
    said = run(places, tmp_path / "own", script, home, workspace)
    assert "TOKEN" not in said
    assert "WRITTEN" not in said
    for name in ("miniconda3/envs/gpu/lib/x.so", ".pyenv/version", ".local/lib/python3.11/site-packages/mine.py",
                 "work/job/data.csv", "datasets/a.csv", ".local/share/pipx/venvs/tool/pyvenv.cfg"):  # fmt: skip
        assert f"file {name}\n" in said
    assert not (home / ".cache" / "mine").exists(), "what it writes into its home goes"
    assert (tmp_path / "own" / "home" / ".cache" / "mine").exists()


@needs_bubblewrap
def test_no_socket_with_a_name_is_reached_wherever_it_lies(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "opt"
    outside.mkdir()
    where = [outside / "docker.sock", home / "agent.sock", outside / "named.sock"]
    servers = []
    for place in where:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(place))
        server.listen()
        servers.append(server)
    servers.pop().close()  # nobody listens here any more, and a variable names it
    told = {"SSH_AUTH_SOCK": "/nowhere", "DOCKER_HOST": f"unix://{where[2]}"}
    seen = sockets(told)
    assert {path.resolve() for path in where} <= set(seen)
    script = f"""
import socket
for place in {[str(place) for place in where]!r}:
    try:
        socket.socket(socket.AF_UNIX).connect(place)
        print("REACHED", place)
    except OSError as error:
        print("refused")
"""
    workspace = home / "work" / "job"
    own = (Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve())
    places = Places(workspace, homes=(home.parent,), home=home, readable=own, hidden=seen, writable=(outside,))
    assert run(places, tmp_path / "own", script, home, workspace) == "refused\n" * 3
    for server in servers:
        server.close()


@pytest.mark.parametrize(("variable", "job", "covered"), [
    ("WORKSPACE", "agent/workspace/digits_PR-1", "agent"),
    ("WORKSPACE", "agent/workspace/team/digits@2", "agent"),
    ("RUNNER_WORKSPACE", "runner/_work/digits", "runner"),
    ("RUNNER_WORKSPACE", "elsewhere/_work/digits", "elsewhere/_work"),
    ("CI_BUILDS_DIR", "builds", "builds"),
])  # fmt: skip
def test_the_folder_of_a_ci_server_s_agent_is_covered_as_a_home_is(
    tmp_path: Path, variable: str, job: str, covered: str
) -> None:
    (tmp_path / job).mkdir(parents=True)
    (tmp_path / "runner").mkdir(exist_ok=True)
    (tmp_path / "runner" / ".credentials").write_text(SECRET)
    known = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    assert set(homes({**known, variable: str(tmp_path / job)})) - set(homes(known)) == {tmp_path / covered}


def test_a_workspace_at_the_root_covers_not_the_machine() -> None:
    assert all(home.parts[1:] for home in homes({"PATH": "/usr/bin", "WORKSPACE": "/workspace/digits"}))
