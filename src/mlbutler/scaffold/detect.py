"""Detect what `mlbutler init` has to know of a DVC project. Nothing is run, nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from mlbutler.comparison.documents import LARGEST, is_number, read_document
from mlbutler.comparison.metrics import guess_goal
from mlbutler.comparison.snapshot import Source
from mlbutler.errors import UsageError
from mlbutler.forge.address import parse_address
from mlbutler.forge.detect import locate_forge
from mlbutler.git import Git
from mlbutler.project.model import Stage
from mlbutler.project.project import Project
from mlbutler.project.root import find_root
from mlbutler.record import Change
from mlbutler.remotes.credentials import is_dagshub
from mlbutler.scaffold.detected import DetectedProject, Remote
from mlbutler.scaffold.files import read_toml
from mlbutler.scaffold.languages import detect_image
from mlbutler.scaffold.python_path import python_path, script_folders
from mlbutler.scaffold.tools import detect_linters, detect_tests, undeclared_packages
from mlbutler.secrets import without_userinfo
from mlbutler.settings import FILE_NAME, ForgeSettings, load

_KINDS = {
    "http": "http", "https": "http", "webdav": "http", "webdavs": "http", "s3": "s3", "ssh": "ssh", "gs": "gs",
    "azure": "azure", "": "local", "file": "local",
}  # fmt: skip

_PREDICTIONS = re.compile(r"prediction[^/]*\.(csv|tsv|jsonl|parquet)$", re.IGNORECASE)


def detect_project(directory: Path, environ: Mapping[str, str]) -> tuple[Path, DetectedProject]:
    """Return (the project's root, what it is made of).

    Raises:
        UsageError: not a git repository or not a DVC project. ProjectError: DVC cannot read it.
        SettingsError: its settings are wrong, or name a forge and not where it is.
    """
    top = Git(directory, environ).toplevel().resolve()
    root = find_root(directory)
    if not root.is_relative_to(top):
        raise UsageError(f"{directory} is not part of the DVC project {root}.", "Run at the DVC project's own root.")
    git = Git(root, environ)
    folder = root.relative_to(top).as_posix()
    url = git.remotes().get("origin", "")
    project = Project(root, {})
    settings = load(root, {}).settings
    project.choose_remotes(settings.data.remote)
    stages = tuple(project.stages.pipeline())
    runs_in = detect_image(root, script_folders(root, stages))
    test_tools, lint_tools = detect_tests(root, runs_in), detect_linters(root, runs_in)
    return root, DetectedProject(
        name=_name(url) or top.name,
        folder="" if folder == "." else folder,
        forge=_forge(settings.forge, url),
        ssh=_is_ssh(url),
        target=settings.project.target or _target(git),
        remote=_remote(project),
        remotes=project.remote_names(),
        stages=tuple(stage.name for stage in stages),
        gated=_guess_gate_metric(root, stages),
        predictions=next((path for path in _outputs(stages) if _PREDICTIONS.search(path)), ""),
        tests=test_tools,
        linters=lint_tools,
        missing=undeclared_packages(root, runs_in, (*test_tools, *lint_tools)),
        image=runs_in,
        junit=settings.test.junit,
        report=settings.report.directory,
        configured=(root / FILE_NAME).is_file() or _is_in_pyproject(root),
        commands=tuple(stage.command for stage in stages if stage.command),
        local_remotes=tuple(_local_remotes(project)),
        python_path=python_path(root, stages),
        tracker=_has_password(settings.trackers.mlflow, url),
    )


def _outputs(stages: Sequence[Stage], kind: str | None = None) -> list[str]:
    return [output.path for stage in stages for output in stage.outputs if kind in (None, output.kind)]


def _guess_gate_metric(root: Path, stages: Sequence[Stage]) -> str:
    """Return the number that a first gate may well be about: one whose name says which way is better, else any."""
    files = _outputs(stages, "metric")
    names = [(file, name) for file in files for name in _numbers(root / file)]
    for file, name in (*(one for one in names if guess_goal(one[1])), *names):
        return f"{file}:{name}"
    return f"{files[0]}:NAME" if files else ""


def _numbers(path: Path) -> list[str]:
    """Return the names of the numbers in a metrics file; none where it cannot be read."""
    try:
        if path.stat().st_size > LARGEST:
            return []
        document = read_document(path.name, Source(path.read_bytes()))
    except OSError:
        return []
    return [name for name, value in document.values.items() if name and is_number(value)]


def _is_in_pyproject(root: Path) -> bool:
    return "mlbutler" in read_toml(root / "pyproject.toml").get("tool", {})


def _remote(project: Project) -> Remote | None:
    name = project.remote_name
    if name is None:
        return None
    scheme = urlsplit(str(project.remote_config(name).get("url", ""))).scheme.lower()
    return Remote(name, _KINDS.get(scheme, "other"))


def _local_remotes(project: Project) -> Iterator[tuple[str, str]]:
    for name in project.remote_names():
        url = str(project.remote_config(name).get("url", ""))
        if url.startswith("/"):
            yield name, url


def _forge(settings: ForgeSettings, url: str) -> str:
    """Return the kind of forge that a build publishes to, as the run finds it.

    The settings may name a server of the team's own.
    """
    if not url:  # the repository has no address yet
        return settings.kind or ""
    here = Change(ci="local", kind="local", head="", checkout="", repository=without_userinfo(url))
    there = locate_forge(settings, {}, here)
    return there.kind if there else ""


def _has_password(server: str | None, url: str) -> bool:
    """Return whether an MLflow server is given a user name and a password of its own.

    Nothing asks it: over plain HTTP it has none, and on the repository's host, or DagsHub's, the forge's token serves.
    """
    if server is None:
        return False
    parts, here = urlsplit(server), parse_address(without_userinfo(url))
    same = here is not None and here.web.partition("://")[2] == parts.netloc
    return parts.scheme == "https" and not same and not is_dagshub(server, {})


def _is_ssh(url: str) -> bool:
    if "://" in url:
        return url.startswith(("ssh://", "git+ssh://"))
    return "@" in url.partition(":")[0] and ":" in url


def _name(url: str) -> str:
    return url.rstrip("/").replace(":", "/").rpartition("/")[2].removesuffix(".git")


def _target(git: Git) -> str:
    """Return the branch that pull requests go to, as far as the clone knows."""
    done = git.run("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD", check=False)
    if done.code == 0:
        return done.text.removeprefix("refs/remotes/origin/")
    known = [name for name in ("main", "master") if git.run("rev-parse", "-q", "--verify", name, check=False).code == 0]
    return known[0] if known else git.branch() or ""
