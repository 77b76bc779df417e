"""An opened DVC project: its configuration and its stages, as DVC reads them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbutler.errors import MlbutlerError, ProjectError, UsageError
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.project.artifact import Artifact
from mlbutler.project.dvc_yaml import guard
from mlbutler.project.model import Stages
from mlbutler.project.unseen import require_visible
from mlbutler.symlinks import Symlinks

if TYPE_CHECKING:
    from mlbutler.project.build_runs import BuildRuns
    from mlbutler.remotes.held_config import Texts
    from mlbutler.remotes.trust import Agreement
    from mlbutler.state.fingerprint import Fingerprints
    from mlbutler.state.hashes import HashCache

CREDENTIALS = (
    "user", "password", "secret_access_key", "access_key_id", "session_token", "account_key", "sas_token",
    "connection_string", "client_secret", "gdrive_service_account_json", "credentialpath", "configpath", "profile",
    "keyfile",
)  # fmt: skip
"""Keys of a remote's configuration that are credentials or name where they are."""


@frozen
class ProjectOptions:
    """Say how a project is worked with.

    Attributes:
        mirror: the agent's store beside the cache, None for none. mirror_remote: name of the remote near the agents.
        symlinks: links of the work tree, and which may be written through; None for those that nobody else made.
        fingerprints: those that this process has just taken of files. hashes: what files were when last laid out.
        build_runs: the entries of DVC's run cache that count on a CI server, None where all do.
        discard: replace files of the work tree that no store holds.
        hardlink: files of the work tree may be hardlinks to the cache's.
    """

    mirror: Path | None = None
    mirror_remote: str | None = None
    symlinks: Symlinks | None = None
    fingerprints: Fingerprints | None = None
    hashes: HashCache | None = None
    build_runs: BuildRuns | None = None
    discard: bool = False
    hardlink: bool = False


class OpenedProject:
    """A DVC project as its own files describe it.

    Args:
        root: where ``.dvc`` lies. environ: where remotes' credentials are read from.
        agreed: remotes as the target branch configures them; others are refused (`mlbutler.remotes.trust`). None when
            the work tree's own configuration is trusted.
        anonymous: use no credentials at all, not even those of DVC's own configuration.
        chosen: the remote that the project's settings name, '' for DVC's default; None when the environment names it.
        options: how it is worked with; by default as its owner does.

    Attributes:
        mirror: the agent's store beside the cache, None for none. mirror_remote: name of the remote near the agents.
    """

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str] | None = None,
        agreed: tuple[Agreement, ...] | None = None,
        *,
        anonymous: bool = False,
        chosen: str | None = None,
        options: ProjectOptions | None = None,
    ) -> None:
        self.root = root
        self.environ = os.environ if environ is None else environ
        self.agreed = agreed
        self.refused: Mapping[str, str] = {}
        self.options = options = options or ProjectOptions()
        self.mirror = options.mirror
        self.mirror_remote = options.mirror_remote
        self.git = Git(root)
        self.symlinks = options.symlinks or Symlinks(root, self.git, every=False)
        self._anonymous, self._chosen = anonymous, chosen
        self._last: tuple[Texts, Any] | None = None  # the configuration that was opened last, and what DVC made of it

    @cached_property
    def repo(self) -> Any:
        """Return the opened `dvc.repo.Repo`; credentials are in its configuration in memory alone."""
        from mlbutler.remotes.held_config import read_texts
        from mlbutler.remotes.trust import refused_remotes, require_places

        for name in ("config", "config.local"):
            require_visible(self.root / ".dvc" / name)
        # Looked at each time: what runs between two openings can change the files.
        texts = read_texts(self.root)
        require_places(self.root, self.agreed, texts)
        last = self._last
        if last is not None and last[0] == texts:
            repo = last[1]
            repo._reset()  # as DVC does when it takes its lock: of the project it has read the configuration alone
        else:
            self.refused = refused_remotes(
                self.root, self.agreed, self.environ, anonymous=self._anonymous, chosen=self._chosen, texts=texts
            )
            repo = self._open_repo(texts)
            self._last = texts, repo
        # ``cache.dir`` may have come with the change.
        self.symlinks.check_inside(Path(str(repo.cache.legacy.path)), untracked=False)
        return repo

    def open_another_repo(self) -> Any:
        """Return another `dvc.repo.Repo` of the same project, for a caller that changes how it reads."""
        _ = self.repo  # judges the configuration
        assert self._last is not None
        return self._open_repo(self._last[0])

    def _open_repo(self, texts: Texts) -> Any:
        os.environ.setdefault("DVC_NO_ANALYTICS", "1")
        from dvc.exceptions import NotDvcRepoError

        from mlbutler.project.load import one_line
        from mlbutler.remotes.held_config import open_config, open_repo

        guard()
        try:
            config = open_config(self.root, texts) if self._anonymous else self._with_credentials(texts)
            repo = open_repo(self.root, config)
        except MlbutlerError:
            raise
        except NotDvcRepoError as error:
            raise UsageError(f"Not a DVC project: {self.root}", "Run `dvc init` there, or pass -C DIR.") from error
        except Exception as error:  # DVC raises whatever its parsers, Python or the file system do
            raise ProjectError(f"DVC cannot open {self.root}: {one_line(error)}", "Check .dvc/config.") from error
        if self._anonymous:
            for conf in repo.config["remote"].values():
                for key in CREDENTIALS:
                    conf.pop(key, None)
        return repo

    def _with_credentials(self, texts: Texts) -> Any:
        from mlbutler.project.load import one_line
        from mlbutler.remotes.credentials import credentials
        from mlbutler.remotes.held_config import open_config
        from mlbutler.user_files import ssh_key

        try:
            config = open_config(self.root, texts)
        except Exception as error:  # as above
            with_local = Path(self.root, ".dvc", "config.local").is_file()  # DVC checks what both say together
            named = ".dvc/config with .dvc/config.local" if with_local else ".dvc/config"
            raise ProjectError(f"{named} cannot be read: {one_line(error)}", f"Fix {named}.") from error
        remotes = config["remote"]
        found = {
            name: dict(credentials(name, str(conf.get("url", "")), self.environ, conf))
            for name, conf in remotes.items()
            if name not in self.refused
        }
        if self.agreed is not None:  # a CI server: SSH itself finds no home
            for name, conf in remotes.items():
                own = found.get(name, {})
                if str(conf.get("url", "")).startswith("ssh://") and not {"keyfile", "password"} & set(own):
                    key = "" if conf.get("password") else ssh_key(self.environ, str(conf.get("keyfile") or ""))
                    found[name] = {**own, **({"keyfile": key} if key else {})}
        found = {name: conf for name, conf in found.items() if conf}
        return open_config(self.root, texts, {"remote": found}) if found else config

    @cached_property
    def stages(self) -> Stages:
        """Return all stages and .dvc files as data."""
        from mlbutler.project.load import load_stages

        return load_stages(self.repo)

    def artifacts(self) -> tuple[Artifact, ...]:
        """Return every recorded output of the work tree's dvc.lock and .dvc files."""
        return self.stages.artifacts()

    @property
    def cache_dir(self) -> Path:
        """Return the cache's directory, the parent of ``files/md5``."""
        return Path(str(self.repo.cache.legacy.path))

    def default_remote(self) -> str | None:
        """Return the name of DVC's default remote, None when none is set."""
        name = self.repo.config["core"].get("remote")
        return str(name) if name else None

    def remote_names(self) -> tuple[str, ...]:
        """Return the names of all configured DVC remotes."""
        return tuple(self.repo.config["remote"])

    def remote_config(self, name: str, setting: str = "data.remote") -> dict[str, Any]:
        """Return DVC's merged configuration of one remote, credentials included: keep it in memory.

        Args:
            setting: which of ours names it.

        Raises:
            UsageError: no such remote.
        """
        remotes = self.repo.config["remote"]
        if name not in remotes:
            known = ", ".join(sorted(remotes)) or "none"
            variable = f"MLBUTLER_{setting.upper().replace('.', '_')}"
            raise UsageError(
                f"There is no DVC remote '{name}' (configured: {known}).",
                f"dvc remote add {shlex.quote(name)} URL, or name another in {setting} ({variable}).",
            )
        return dict(remotes[name])

    def local_remotes(self) -> tuple[Path, ...]:
        """Return the directories that are DVC remotes of the project."""
        return tuple(self.remote_directories().values())

    def remote_directories(self) -> dict[str, Path]:
        """Return name -> directory of the DVC remotes of the project that are directories."""
        from dvc.fs import get_cloud_fs

        found = {}
        for name in self.remote_names():
            try:
                kind, _, path = get_cloud_fs(self.repo.config, name=name)
            except Exception:  # its plugin is missing, or it is broken: no directory
                continue
            if kind.protocol == "local":
                found[name] = Path(self.root, path)
        return found

    def settings_files(self) -> tuple[Path, ...]:
        """Return the user's and the machine's configuration of DVC, whether they exist or not."""
        from dvc.config import Config

        return tuple(Path(Config.get_dir(level), Config.CONFIG) for level in ("global", "system"))

    def secrets(self) -> tuple[str, ...]:
        """Return credentials found in DVC's configuration, to be hidden everywhere."""
        remotes = self.repo.config["remote"].values()
        return tuple(str(conf[key]) for conf in remotes for key in CREDENTIALS if key != "user" and conf.get(key))

    def choose_remotes(self, remote: str | None, mirror_remote: str | None = None) -> None:
        """Use the remotes that our settings name.

        Args:
            remote: in place of DVC's default. mirror_remote: near the agents.

        Raises:
            UsageError: there is no such remote.
        """
        if remote:
            self.remote_config(remote)
            self.remote_name = remote
        if mirror_remote:
            self.remote_config(mirror_remote, "data.mirror_remote")
            self.mirror_remote = mirror_remote

    @cached_property
    def remote_name(self) -> str | None:
        """Return the remote in use: set from the settings, else DVC's default, else the only one there is."""
        names = self.remote_names()
        return self.default_remote() or (names[0] if len(names) == 1 else None)
