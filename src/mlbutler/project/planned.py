"""That nothing was stale when this clone was last planned, and what that rested on.

Verbs are processes of their own, and each has to know that the plan in the record still holds. Opening DVC's project
for that costs more than everything else they do, so a plan without a stale stage is kept with a signature of every
file and folder that was read or listed for it. Any change, a file that appeared included, makes the next verb plan
anew. Plans with stale stages are never kept: they depend on caches too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.errors import DiskFull
from mlbutler.project.signature import TICK, Look, settled
from mlbutler.record import StagePlan
from mlbutler.store.seal import UNSEALED, Seal

_FILE = "planned.json"
_VERSION = 3
_MOST = 20_000
_CODE = (".py", ".pyc", ".so", ".pth", ".egg-link")
_CONFIG = (".dvc/config", ".dvc/config.local")
# Where DVC looks for the user's and the machine's configuration, and where the libraries under it look for the place
# of a remote.
_VARIABLES = (
    "HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "AWS_PROFILE",
    "AWS_CONFIG_FILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_ACCOUNT",
)  # fmt: skip
_OURS = (".mlbutler", ".git", ".dvc/tmp", ".dvc/cache")


def begin(root: Path) -> float:
    """When a plan begins (seconds since the epoch): when what this process itself has made in the project's folder can
    be told from what others make there from now on."""
    import dvc.repo  # noqa: F401 - here, since that takes longer than a tick

    left = root.stat().st_mtime + TICK - time.time()
    if 0 < left <= TICK:
        time.sleep(left)
    return time.time()


class Watched:
    """Files that were opened and folders that were listed below a project's root while it was read."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}{os.sep}"
        self.files: dict[str, None] = {}
        self.folders: dict[str, None] = {}
        self._on = False
        sys.addaudithook(self._hook)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take note of what is read meanwhile."""
        self._on = True
        try:
            yield
        finally:
            self._on = False

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        if not self._on or event not in ("open", "os.scandir", "os.listdir"):
            return
        path = args[0]
        if not isinstance(path, str | bytes):
            return
        name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - links stay links
        if not (name + os.sep).startswith(self._root) or name.endswith(_CODE):
            return
        inside = name[len(self._root) :]
        if not inside.startswith(_OURS):
            (self.files if event == "open" else self.folders)[inside] = None


@dataclass(frozen=True)
class Kept:
    """A plan that is remembered, and what it rests on: statuses of paths and folders, names in those folders.

    Attributes:
        settings: statuses of the files outside the project that configure DVC.
    """

    key: str
    artifacts: str
    paths: Mapping[str, str | None]
    folders: Mapping[str, list[int] | None]
    listings: Mapping[str, frozenset[str]]
    settings: Mapping[str, str]


class Planned:
    """The memory of one clone.

    Args:
        root: the project's root. versions: of whoever plans, and what else was said to him; otherwise he plans anew.
        look: shared with whoever else looks at the same files.
        anonymous: the user's and the machine's configuration are not read, for a fork's change.
        environ: the environment that this process was started with. seal: shows that mlbutler wrote it.
    """

    def __init__(
        self,
        root: Path,
        versions: Sequence[str],
        look: Look,
        *,
        anonymous: bool = False,
        environ: Mapping[str, str] | None = None,
        seal: Seal = UNSEALED,
    ) -> None:
        self._look, self._anonymous, self.seal = look, anonymous, seal
        self._environ = os.environ if environ is None else environ
        self._root, self._file, self._versions = root, root / ".mlbutler" / _FILE, list(versions)

    @property
    def file(self) -> Path:
        """Where the plan's signature lies, if there is one."""
        return self._file

    def holds(self, plan: Sequence[StagePlan], targets: Sequence[str]) -> bool:
        """Does `plan`, made for these targets, still hold?"""
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            if content["key"] != self._key(plan, targets) or not self.seal.is_sealed(_FILE, content):
                return False
            return (
                all(_outside(path) == found for path, found in content["settings"].items())
                and all(self._status(path) == found for path, found in content["paths"].items())
                and all(_folder(self._root, path) == found for path, found in content["folders"].items())
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def keep(
        self, plan: Sequence[StagePlan], targets: Sequence[str], paths: Iterable[str], watched: Watched,
        artifacts: str = "", settings: Iterable[Path] = (), since: float = math.inf,
    ) -> Kept | None:  # fmt: skip
        """Remember a plan without stale stages; returns what `keep_again` takes, None when it cannot be remembered.

        Args:
            paths: dependencies, parameter files and outputs. watched: what else was read for it.
            artifacts: tells the artifacts that belong to it, and where they are pushed to, from all others.
            settings: files outside the project that configure DVC, whether they exist or not.
            since: when the plan began (seconds since the epoch; now). It may not have seen what changed later.
        """
        looked_at = dict.fromkeys(paths)
        names = dict.fromkeys((*looked_at, *watched.files, *_CONFIG))
        if len(names) + len(watched.folders) > _MOST:
            return None
        above = {folder for path in looked_at for folder in _above(path)}
        kept = Kept(
            key=self._key(plan, targets),
            artifacts=artifacts,
            paths={path: self._status(path, since) for path in names},
            folders={path: _folder(self._root, path, since) for path in watched.folders},
            listings={path: _listing(self._root, path) for path in watched.folders if path in above},
            settings={} if self._anonymous else {str(path): _outside(str(path)) for path in settings},
        )
        return kept if self._write(kept) else None

    def keep_again(self, kept: Kept, laid_out: Mapping[str, str]) -> Kept | None:
        """Remember the plan after recorded artifacts were put into the work tree, whole: it holds as it did.

        Not where anything else changed meanwhile, or one of them since; then the next verb plans anew.

        Args:
            laid_out: their paths, with the signature that each had when it was put there.
        """
        added: dict[str, set[str]] = {}
        for path in laid_out:
            for folder, name in _above(path).items():
                added.setdefault(folder, set()).add(name)
        now = Kept(
            key=kept.key,
            artifacts=kept.artifacts,
            paths={path: self._status(path) for path in kept.paths},
            # Where a folder was made, a file that appears in it would be read for the next plan.
            folders={path: _folder(self._root, path) for path in (*kept.folders, *added)},
            listings={path: _listing(self._root, path) for path in {**kept.listings, **added}},
            settings={path: _outside(path) for path in kept.settings},
        )
        # A folder that was not listed for the plan was not there: it holds what was laid out.
        expected = {path: kept.listings.get(path, frozenset()) | added.get(path, set()) for path in now.listings}
        unchanged = [path for path in kept.folders if path not in added or path not in kept.listings]
        others = [path for path in kept.paths if not any(_lies_in(path, artifact) for artifact in laid_out)]
        same = (
            now.listings == expected
            and now.settings == kept.settings
            and all(now.folders[path] == kept.folders[path] for path in unchanged)
            and all(now.paths[path] == kept.paths[path] for path in others)
            and all(now.paths.get(path, signature) == signature for path, signature in laid_out.items())
        )
        return now if same and self._write(now) else None

    @property
    def artifacts(self) -> str:
        """What tells the artifacts that belong to the plan from others, '' where that is not known."""
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            return str(content["artifacts"]) if self.seal.is_sealed(_FILE, content) else ""
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return ""

    def _write(self, kept: Kept) -> bool:
        if None in kept.paths.values() or None in kept.folders.values():
            return False
        content = {
            "key": kept.key, "artifacts": kept.artifacts, "settings": kept.settings, "paths": kept.paths,
            "folders": kept.folders,
        }  # fmt: skip
        with suppress(OSError, DiskFull):
            write(self._file, json.dumps(self.seal.sealed(_FILE, content)).encode(), durable=False)
            return True
        return False

    def forget(self) -> None:
        """The next verb plans anew."""
        self._file.unlink(missing_ok=True)

    def _key(self, plan: Sequence[StagePlan], targets: Sequence[str]) -> str:
        states = [(stage.name, str(stage.state), stage.command) for stage in plan]
        places = None if self._anonymous else [self._environ.get(name) for name in _VARIABLES]
        text = json.dumps([_VERSION, self._versions, list(targets), str(self._root), places, states])
        return hashlib.sha256(text.encode()).hexdigest()

    def _status(self, path: str, since: float = math.inf) -> str | None:
        """What a file or folder is now; None where that cannot be said for sure, or it changed `since`."""
        if not os.path.lexists(self._root / path):
            return "absent"
        found = self._look(self._root, path)
        return found[0] if found is not None and settled(found, since) else None


def _folder(root: Path, path: str, since: float = math.inf) -> list[int] | None:
    """A folder's own status: it changes when a name in it comes or goes."""
    try:
        status = os.stat(root / path)  # noqa: PTH116
    except OSError:
        return None
    return [status.st_ino, status.st_mtime_ns] if settled(("", status.st_mtime), since) else None


def _outside(path: str) -> str:
    """What a file outside the project is now, '' when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return ""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _listing(root: Path, path: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(root / path))  # noqa: PTH208
    except OSError:
        return frozenset()


def _above(path: str) -> dict[str, str]:
    """Each folder above `path`, and the name in it that leads there."""
    parts = path.split("/")
    return {"/".join(parts[:depth]): parts[depth] for depth in range(len(parts))}


def _lies_in(path: str, artifact: str) -> bool:
    return path == artifact or path.startswith(f"{artifact}/")
