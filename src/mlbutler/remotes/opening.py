"""Opening the stores that a DVC project's configuration describes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from mlbutler import file_modes
from mlbutler.errors import MlbutlerError, ProjectError, StoreError
from mlbutler.remotes.trust import require_trusted
from mlbutler.secrets import without_userinfo
from mlbutler.store.interface import Store
from mlbutler.store.local import LocalStore
from mlbutler.store.missing_plugins import how_to_install
from mlbutler.store.retry import RetryPolicy

REMOTE_JOBS = 16
_PLACE = ("endpointurl", "port", "account_name", "oss_endpoint", "projectname", "profile", "configpath")
"""What else than the url tells in which place a remote is."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_ACCOUNT = re.compile(r"(?:^|;)AccountName=([^;]*)", re.IGNORECASE)


class Configured(Protocol):
    """Describe what this module needs of a DVC project."""

    @property
    def root(self) -> Path:
        """Return the project's root."""
        ...

    @property
    def repo(self) -> Any:
        """Return an open `dvc.repo.Repo` whose configuration holds the credentials."""
        ...

    @property
    def cache_dir(self) -> Path:
        """Return the directory that holds ``files/md5``."""
        ...

    @property
    def remote_name(self) -> str | None:
        """Return the name of the remote in use, None when there is none."""
        ...

    @property
    def refused(self) -> Mapping[str, str]:
        """Return remotes that must not be used, and why; known once `repo` is open."""
        ...


def open_cache(project: Configured) -> LocalStore:
    """Return the store of the project's DVC cache."""
    return LocalStore("cache", project.cache_dir)


def open_mirror(root: Path | None, project: Configured, *, trusted: bool, link: str = "auto") -> LocalStore | None:
    """Return the store of the agent's mirror, None when none is set. The directory need not exist.

    Args:
        trusted: may this run share files with the mirror. link: ``auto``, ``hardlink`` (the work tree's files too) or
            ``copy``.
    """
    if root is None:
        return None
    return LocalStore("mirror", root, hardlink=may_hardlink(project, trusted=trusted, link=link))


def may_hardlink(project: Configured, *, trusted: bool, link: str) -> bool:
    """Return whether cache and mirror may share files by hardlinks; whether the disks support it is not checked."""
    return trusted and link != "copy" and not _can_write_through_link(project, link)


def _can_write_through_link(project: Configured, link: str) -> bool:
    """Return whether a stage could write into a cached object in place, through a link: root could, whatever its mode.

    With `link` ``hardlink`` the project's code is held to modes where that can be; see `steps.isolated`.
    """
    if link == "hardlink":
        return not file_modes.bind(project.root)
    kinds = project.repo.config["cache"].get("type") or []
    return bool({"hardlink", "symlink"} & set(kinds)) and hasattr(os, "geteuid") and os.geteuid() == 0


def open_remote(
    project: Configured,
    name: str | None,
    environ: Mapping[str, str] | None = None,
    *,
    jobs: int | None = None,
    policy: RetryPolicy | None = None,
) -> Store:
    """Return the store of a remote (None: the project's), without any request to it.

    Args:
        policy: how to retry when it does not answer; the store's default if None.

    Raises:
        ProjectError: there is no such remote, or its configuration is broken.
        AccessDenied: its configuration asks for credentials that are not there.
        UntrustedRemote: a change configures it differently from the target branch.
        StoreError: a package that it needs is not installed.
    """
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException
    from dvc.fs import get_cloud_fs

    name = name or project.remote_name
    if name is None:
        raise ProjectError("No DVC remote is configured.", "dvc remote add --default NAME URL")
    settings = project.repo.config
    require_trusted(name, project.refused)
    try:
        kind, config, path = get_cloud_fs(settings, name=name)
    except (ConfigError, DvcException) as error:
        raise ProjectError(f"The DVC remote '{name}' cannot be used: {error}", "See `dvc remote list`.") from error
    except Exception as error:  # DVC raises what the missing plugin's import raises
        raise StoreError(
            f"The DVC remote '{name}' cannot be opened: {error}",
            how_to_install(error),
        ) from error
    if config.get("version_aware") or config.get("worktree"):
        raise StoreError(
            f"The DVC remote '{name}' is cloud-versioned: it has no objects by hash, which mlbutler needs.",
            "Use a remote without version_aware and worktree.",
        )
    if kind.protocol == "local":
        store = LocalStore(name, Path(path))
        store.require()
        return store
    if kind.protocol in ("http", "https"):
        from mlbutler.store.http.store import HttpStore

        # The process' own environment says where files of credentials may be: see `mlbutler.user_files`.
        files = os.environ if environ is None or environ else {}
        return HttpStore(name, path, config, environ=files, jobs=jobs, policy=policy)

    def connect() -> tuple[Any, str]:
        odb = project.repo.cloud.get_remote_odb(name, hash_name="md5-dos2unix")  # its path is the remote's root
        return odb.fs, str(odb.path)

    if kind.protocol == "s3":
        from mlbutler.store.s3.store import S3Store

        return S3Store(name, path, config, connect, policy=policy, jobs=jobs)
    from mlbutler.store.other import OtherStore

    return OtherStore(name, connect, policy, jobs or REMOTE_JOBS)


def address(settings: Mapping[str, Any], name: str, environ: Mapping[str, str] | None = None) -> str:
    """Return a remote's address without credentials; '' where there is none, and for a directory, which answers fast.

    Args:
        settings: DVC's merged configuration.
    """
    from dvc.config import ConfigError
    from dvc.fs import get_fs_config

    environ = os.environ if environ is None else environ
    try:  # a remote may be named by its path on another
        conf = dict(get_fs_config(settings, name=name))
    except (ConfigError, KeyError):
        return ""
    url = str(conf.get("url", ""))
    scheme = url.partition("://")[0].lower()
    if "://" not in url or scheme in ("file", "local"):
        return ""
    if scheme == "s3" and not conf.get("endpointurl"):
        conf["endpointurl"] = next((environ[key] for key in _ENDPOINTS if environ.get(key)), "")
    account = _ACCOUNT.search(str(conf.get("connection_string", "")))
    place = {key: str(conf[key]) for key in _PLACE if conf.get(key)} | ({"account": account[1]} if account else {})
    return " ".join([without_userinfo(url), *(f"{key}={without_userinfo(text)}" for key, text in place.items())])


class Remotes:
    """Open the remotes of one run, each once and only when it is first needed.

    A remote that cannot be opened raises the same error each time it is asked for.
    """

    def __init__(
        self,
        project: Configured,
        default: str | None,
        environ: Mapping[str, str] | None,
        jobs: int | None = None,
    ) -> None:
        self._project, self._default, self._environ, self._jobs = project, default, environ, jobs
        self._opened: dict[str, Store | MlbutlerError] = {}

    def name(self, own: str | None) -> str | None:
        """Return the name of an artifact's remote: its own, else the project's; None when neither is set."""
        return own or self._default

    def address(self, own: str | None) -> str:
        """Return a remote's address without credentials; '' for a directory, which answers fast."""
        name = self.name(own)
        return "" if name is None else address(self._project.repo.config, name, self._environ)

    def missing_directory_error(self, names: Iterable[str | None]) -> StoreError | None:
        """Return the error where one of these remotes is a directory that does not exist."""
        stores = (self(own) for own in dict.fromkeys(names))
        return next(
            (gone for s in stores if isinstance(s, LocalStore) and (gone := s.missing_directory_error()) is not None),
            None,
        )

    def __call__(self, own: str | None) -> Store | None:
        """Return the store for an artifact, None when no remote is configured.

        Raises:
            MlbutlerError: as `open_remote`.
        """
        name = self.name(own)
        if name is None:
            return None
        if name not in self._opened:
            try:
                self._opened[name] = open_remote(self._project, name, self._environ, jobs=self._jobs)
            except MlbutlerError as error:
                self._opened[name] = error
        found = self._opened[name]
        if isinstance(found, MlbutlerError):
            raise found
        return found
