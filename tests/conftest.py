"""Every test runs with an empty home, no git identity, and none of the machine's credentials or CI variables."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mlbutler.ci.servers import SERVERS
from tests import forked_python
from tests.elsewhere import Elsewhere, listening
from tests.patience import be_patient
from tests.soon import retry_soon
from tests.trackers.mlflow_server import Tracker, serve_mlflow

_CI = (
    "JENKINS_URL", "BUILD_URL", "GITHUB_ACTIONS", "GITLAB_CI", "CI", "CHANGE_ID", "BRANCH_NAME", "BUILD_ID",
    "BUILD_NUMBER", "BUILD_TAG", "JOB_ID", "RUN_ID", "CONTINUOUS_INTEGRATION",
    *(name for server in SERVERS for name in server.marks),
)  # fmt: skip

# Stages and stand-ins say `python`, which Debian does not have, and which pyenv answers with a slow shell script.
# What a shell starts in the background, or `nohup`, ignores these, as would all that it starts: tests send them.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

# What is a matter of the machine's other work is no property of the code, and nor is chance: a run tries the examples
# of the run before, so that what fails was caused by a change. `make properties` tries others.
settings.register_profile("random", deadline=None, derandomize=False, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("tests", settings.get_profile("random"), derandomize=True)
settings.load_profile("tests")

retry_soon()
be_patient()


# What is collected is no garbage. Verbs that tests call here have it look seldom where they are a process of their own.
gc.set_threshold(100_000, 50, 100)


def pytest_collection(session: pytest.Session) -> None:
    """Have each of several workers import a share of the modules first, so that they do not all compile all of them."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    own = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    modules = sorted(path for argument in session.config.args for path in Path(argument).rglob("test_*.py"))
    for number, path in enumerate(modules):
        if number * workers // len(modules) == own:
            with suppress(Exception, pytest.skip.Exception):  # said when it is collected
                name = path.resolve().relative_to(session.config.rootpath).with_suffix("")
                importlib.import_module(".".join(name.parts))


def pytest_collection_finish() -> None:
    """Spare the garbage collector all that is there for good; statsmodels calls it a hundred times in one test."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Take Ctrl-C even where the tests were started in the background of a shell, which has them ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def forked_workers() -> Iterator[None]:
    """Workers that run stages import nothing again."""
    with forked_python.forked_workers():
        yield


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HOME; git and DVC read no configuration of the machine's."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("MLBUTLER_", "GIT_", "DVC_", "CHANGE_", "GITHUB_", "CI_", "AWS_")) or name in _CI:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    # Stages of tests leave marks beside their project; tests/steps/test_isolated.py takes it back.
    monkeypatch.setenv("MLBUTLER_ISOLATION_MODE", "off")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(home / "dvc-site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(home / "dvc-global"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(home / "dvc-system"))
    return home


@pytest.fixture(scope="session")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A real MLflow server, where it is installed."""
    if not all(importlib.util.find_spec(name) for name in ("mlflow", "sqlalchemy", "alembic", "flask_cors")):
        pytest.skip("needs mlflow-skinny, sqlalchemy, alembic and flask-cors")
    with serve_mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """A server that nothing is meant for."""
    with listening() as server:
        yield server


GitCommand = Callable[..., str]


def as_ada(directory: Path, *args: str) -> str:
    """Run git in a directory as some author: ``as_ada(path, "commit", "-m", "x")`` -> standard output."""
    done = subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main",
         "-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always", *args],
        cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"git {' '.join(args)}: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture
def git() -> GitCommand:
    """What `as_ada` does."""
    return as_ada


@pytest.fixture
def small_disk() -> Iterator[Callable[..., None]]:
    """Mount a file system of 2 MB, or of `megabytes`, at a folder; needs root."""
    mounted: list[Path] = []

    def mount(folder: Path, megabytes: int = 2) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small file system cannot be mounted here")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)
