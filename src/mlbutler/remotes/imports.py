"""Imports (`dvc import`, `dvc import-url`), which DVC itself fetches from their source.

DVC opens the repository that an import names, follows that repository's configuration, and offers this process's
credentials to every server that it finds there. So an import is fetched with credentials only from the source that the
target branch has for it, or from a remote that may be used; from elsewhere without any, and never from a directory of
the agent.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from mlbutler.anonymous import anonymous
from mlbutler.errors import StoreError, UsageError
from mlbutler.git import address
from mlbutler.parsing import Unreadable, decoded, parse_yaml
from mlbutler.remotes.opening import Configured, open_cache
from mlbutler.remotes.trust import Agreement
from mlbutler.store.engine import bring
from mlbutler.store.interface import Need

Source = tuple[object, ...]
"""Where an import comes from, and the settings that it brings for that."""


class Importing(Configured, Protocol):
    """Describe what this module needs of a DVC project."""

    @property
    def agreed(self) -> tuple[Agreement, ...] | None:
        """Return the target branch's agreements; None where the work tree's own configuration is trusted."""
        ...


def bring_imports(project: Importing, needs: Sequence[Need]) -> frozenset[str]:
    """Let DVC fetch imports from their sources; return the paths that arrived whole.

    Raises:
        StoreError: as `fetch_imports`.
    """
    if not needs:
        return frozenset()
    fetch_imports(project, [need.path for need in needs])
    again = bring(needs, open_cache(project), None, None)
    return frozenset(need.path for need in needs) - again.incomplete


def fetch_imports(project: Importing, paths: Sequence[str]) -> None:
    """Fetch imported artifacts into the cache from their sources.

    Args:
        paths: the artifacts, relative to the project's root.

    Raises:
        StoreError: the source could not be read, or may not be.
    """
    targets = [project.repo.fs.join(project.repo.root_dir, *path.split("/")) for path in paths]
    if project.agreed is None:
        _fetch(project, targets)
        return
    with _own_site_cache(project.repo):
        _fetch_from_agreed(project, targets)


def _fetch_from_agreed(project: Importing, targets: Sequence[str]) -> None:
    agreed = [target for target in targets if _is_agreed(project, _stage(project.repo, target))]
    others = [target for target in targets if target not in agreed]
    if agreed:
        _fetch(project, agreed)
    if others:
        for target in others:
            _refuse_local(_stage(project.repo, target))
        with anonymous():
            _fetch(project, others, " without credentials, since the target branch has no such import")


@contextmanager
def _own_site_cache(repo: Any) -> Iterator[None]:
    """Let DVC keep what it notes of imports where no one else can write, while the block runs.

    It reads its notes on a remote's objects with `pickle`, which runs whatever the project's code, or in ``/var/tmp``
    any user of the agent, put there.
    """
    name = "DVC_SITE_CACHE_DIR"
    before = os.environ.get(name)
    with tempfile.TemporaryDirectory(prefix="mlbutler-dvc-") as place:
        os.environ[name] = place  # for the repositories that are imported from
        usual = {key: repo.__dict__.pop(key, None) for key in ("site_cache_dir", "_data_index")}
        repo._data_index = None
        try:
            yield
        finally:
            if repo._data_index is not None:
                repo._data_index.close()
            repo.__dict__.update(usual)
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before


def _fetch(project: Importing, targets: Sequence[str], how: str = "") -> None:
    from dvc.exceptions import DvcException
    from dvc.scm import CloneError, SCMError

    try:
        project.repo.fetch(targets=targets, run_cache=False)
    except (DvcException, CloneError, SCMError, OSError) as error:
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(
            f"An import could not be fetched from its source{how}: {text}",
            "Merge the import by itself first."
            if how
            else "Check that the repository or address in the .dvc file can be read from here.",
        ) from error


def _stage(repo: Any, target: str) -> Any:
    """Return DVC's stage that imports the artifact at this path."""
    return next(stage for stage in repo.index.stages if any(out.fs_path == target for out in stage.outs))


def _is_agreed(project: Importing, stage: Any) -> bool:
    dependency = stage.deps[0]
    if stage.is_db_import:
        return False
    parts = urlsplit(str(dependency.def_path))
    if _repository(dependency) is None and parts.scheme == "remote":
        own = bool(dependency.def_fs_config)
        return not own and parts.netloc.lower() not in project.refused and ".." not in parts.path.split("/")
    file = project.repo.fs.relpath(stage.path, project.repo.root_dir).replace("\\", "/")
    source = _source(_repository(dependency), dependency.def_path, dependency.def_fs_config)
    return any(source == _source_in(one.file(file), file) for one in project.agreed or ())


def _repository(dependency: Any) -> Mapping[str, Any] | None:
    return getattr(dependency, "def_repo", None)


def _source(repository: Mapping[str, Any] | None, path: object, settings: object) -> Source:
    if repository is not None:
        return ("repository", repository.get("url"), repository.get("config"), repository.get("remote"))
    return ("address", path, settings or None)


def _source_in(content: bytes | None, file: str) -> Source | None:
    """Return the source that a .dvc file names, None where it names none."""
    try:
        found = parse_yaml(decoded(content or b"", file), file)
    except Unreadable:
        return None
    dependencies = found.get("deps") if isinstance(found, Mapping) else None
    first = dependencies[0] if isinstance(dependencies, list) and dependencies else None
    if not isinstance(first, Mapping):
        return None
    repository = first.get("repo")
    return _source(repository if isinstance(repository, Mapping) else None, first.get("path"), first.get("fs_config"))


def _refuse_local(stage: Any) -> None:
    """Raise where an import comes from a directory instead of a server."""
    dependency = stage.deps[0]
    repository = _repository(dependency)
    if repository is None:
        scheme = urlsplit(str(dependency.def_path)).scheme.lower()
        is_local = scheme in ("", "file", "local", "remote")
    else:
        try:
            is_local = address.parse_git_address(str(repository.get("url", ""))).protocol == "file"
        except UsageError:  # none that is known, or one that runs a program
            is_local = True
    if is_local or dependency.def_fs_config:
        raise StoreError(
            f"The import {stage.relpath} is not fetched: the target branch has none from there, and it names no server "
            "that could be asked without credentials.",
            "Merge the import by itself first.",
        )
