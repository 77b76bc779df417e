"""The DVC project at a root: everything the steps ask of it, with DVC itself behind this door."""

from __future__ import annotations

import copy
import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbutler.comparison.snapshot import Snapshot
from mlbutler.errors import ProjectError, UsageError
from mlbutler.git import Git
from mlbutler.project.artifact import Artifact
from mlbutler.project.model import Recorded, Stage, Stages
from mlbutler.project.objects import Objects
from mlbutler.project.seen import Seen
from mlbutler.project.signature import Look
from mlbutler.project.worktree import WorkTree, note_partial, partial_directories
from mlbutler.record import StagePlan, StageState
from mlbutler.store.interface import Need, ObjectId
from mlbutler.symlinks import Symlinks

if TYPE_CHECKING:
    from mlbutler.project.build_runs import BuildRuns
    from mlbutler.project.directory_links import Early
    from mlbutler.project.outside import Outside
    from mlbutler.project.present import Present
    from mlbutler.project.side import Side
    from mlbutler.remotes.trust import Agreement
    from mlbutler.store.local import LocalStore
    from mlbutler.store.whole import Whole

CREDENTIALS = (
    "user", "password", "secret_access_key", "access_key_id", "session_token", "account_key", "sas_token",
    "connection_string", "client_secret", "gdrive_service_account_json", "credentialpath", "configpath", "profile",
    "keyfile",
)  # fmt: skip
"""Keys of a remote's configuration that are credentials or name where they are."""


class Project:
    """One DVC project.

    Args:
        root: where ``.dvc`` lies. environ: where remotes' credentials are read from.
        agreed: remotes as the target branch configures them; others are refused (`mlbutler.remotes.trust`). None when
            the work tree's own configuration is trusted.
        anonymous: use no credentials at all, not even those of DVC's own configuration.
        chosen: the remote that the project's settings name, '' for DVC's default; None when the environment names it.
    """

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str] | None = None,
        agreed: tuple[Agreement, ...] | None = None,
        *,
        anonymous: bool = False,
        chosen: str | None = None,
    ) -> None:
        self.root = root
        self._chosen = chosen
        self._agreed, self._anonymous = agreed, anonymous
        self.refused: Mapping[str, str] = {}
        self._environ = os.environ if environ is None else environ
        self.mirror: Path | None = None
        self.build_runs: BuildRuns | None = None
        self.hardlink = self.discard = False
        self.git = Git(root)
        self.symlinks = Symlinks(root, self.git, every=False)
        self.look = Look()
        self._planner: Any = None
        self.sides: dict[tuple[str, str], Side | None] = {}

    # -------------------------------------------------------------------------------------- opening

    @cached_property
    def repo(self) -> Any:
        """The opened `dvc.repo.Repo`; credentials are in its configuration in memory alone."""
        from mlbutler.remotes.trust import refused, require_places

        # Looked at each time: what runs between two openings can change the files.
        require_places(self.root, self._agreed)
        self.refused = refused(self.root, self._agreed, self._environ, anonymous=self._anonymous, chosen=self._chosen)
        repo = self._opened({} if self._anonymous else self._credentials())
        if self._anonymous:
            for conf in repo.config["remote"].values():
                for key in CREDENTIALS:
                    conf.pop(key, None)
        # ``cache.dir`` may have come with the change.
        self.symlinks.check_inside(Path(str(repo.cache.legacy.path)), untracked=False)
        return repo

    def opened_again(self) -> Any:
        """Another `dvc.repo.Repo` of the same project, for a caller that changes how it reads."""
        return self._opened({} if self._anonymous else self._credentials())

    def of(self, repo: Any, stages: Stages) -> Project:
        """The same project with stages that were read otherwise; this one still refuses what it cannot read."""
        other = copy.copy(self)
        other.__dict__.pop("tree", None)
        other.__dict__ |= {"repo": repo, "stages": stages}
        return other

    def _opened(self, config: dict[str, Any]) -> Any:
        os.environ.setdefault("DVC_NO_ANALYTICS", "1")
        from dvc.exceptions import NotDvcRepoError
        from dvc.repo import Repo

        from mlbutler.project.load import one_line

        try:
            return Repo(str(self.root), config=config or None)
        except NotDvcRepoError as error:
            raise UsageError(f"Not a DVC project: {self.root}", "Run `dvc init` there, or pass -C DIR.") from error
        except Exception as error:  # DVC raises whatever its parsers, Python or the file system do
            raise ProjectError(f"DVC cannot open {self.root}: {one_line(error)}", "Check .dvc/config.") from error

    def _credentials(self) -> dict[str, Any]:
        from dvc.config import Config

        from mlbutler.project.load import one_line
        from mlbutler.remotes.credentials import credentials
        from mlbutler.user_files import ssh_key

        try:
            remotes = Config(str(self.root / ".dvc"))["remote"]
        except Exception as error:  # as above
            raise ProjectError(f".dvc/config cannot be read: {one_line(error)}", "Fix .dvc/config.") from error
        found = {
            name: dict(credentials(name, str(conf.get("url", "")), self._environ, conf))
            for name, conf in remotes.items()
            if name not in self.refused
        }
        if self._agreed is not None:  # a CI server: SSH itself finds no home
            for name, conf in remotes.items():
                own = found.get(name, {})
                if str(conf.get("url", "")).startswith("ssh://") and not {"keyfile", "password"} & set(own):
                    key = "" if conf.get("password") else ssh_key(self._environ, str(conf.get("keyfile") or ""))
                    found[name] = {**own, **({"keyfile": key} if key else {})}
        found = {name: conf for name, conf in found.items() if conf}
        return {"remote": found} if found else {}

    def reload(self) -> None:
        """Forget what was read: dvc.lock or the work tree changed."""
        self.look.again()
        for name in ("repo", "stages", "tree", "outside"):
            self.__dict__.pop(name, None)
        self._planner = None

    # ------------------------------------------------------------------------------------- contents

    @cached_property
    def stages(self) -> Stages:
        """All stages and .dvc files as data."""
        from mlbutler.project.load import load_stages

        return load_stages(self.repo)

    @cached_property
    def tree(self) -> WorkTree:
        """The work tree."""
        return WorkTree(self.root, self.repo, self.stages, self.objects.manifest, self.seen)

    def artifacts(self) -> tuple[Artifact, ...]:
        """Every recorded output of the work tree's dvc.lock and .dvc files."""
        return self.stages.artifacts()

    @property
    def cache_dir(self) -> Path:
        """The cache's directory, the parent of ``files/md5``."""
        return Path(str(self.repo.cache.legacy.path))

    def default_remote(self) -> str | None:
        """Name of DVC's default remote, None when none is set."""
        name = self.repo.config["core"].get("remote")
        return str(name) if name else None

    def remote_names(self) -> tuple[str, ...]:
        """All configured DVC remotes."""
        return tuple(self.repo.config["remote"])

    def remote_config(self, name: str) -> dict[str, Any]:
        """DVC's merged configuration of one remote, credentials included: keep it in memory.

        Raises:
            UsageError: no such remote.
        """
        remotes = self.repo.config["remote"]
        if name not in remotes:
            known = ", ".join(sorted(remotes)) or "none"
            raise UsageError(
                f"There is no DVC remote '{name}' (configured: {known}).",
                f"dvc remote add {shlex.quote(name)} URL, or name another in data.remote (MLBUTLER_DATA_REMOTE).",
            )
        return dict(remotes[name])

    def local_remotes(self) -> tuple[Path, ...]:
        """The directories that are DVC remotes of the project."""
        from dvc.fs import get_cloud_fs

        found = []
        for name in self.remote_names():
            try:
                kind, _, path = get_cloud_fs(self.repo.config, name=name)
            except Exception:  # its plugin is missing, or it is broken: no directory
                continue
            if kind.protocol == "local":
                found.append(Path(self.root, path))
        return tuple(found)

    def settings_files(self) -> tuple[Path, ...]:
        """The user's and the machine's configuration of DVC, whether they exist or not."""
        from dvc.config import Config

        return tuple(Path(Config.get_dir(level), Config.CONFIG) for level in ("global", "system"))

    def secrets(self) -> tuple[str, ...]:
        """Credentials found in DVC's configuration, to be hidden everywhere."""
        remotes = self.repo.config["remote"].values()
        return tuple(str(conf[key]) for conf in remotes for key in CREDENTIALS if key != "user" and conf.get(key))

    @cached_property
    def objects(self) -> Objects:
        """The project's data by hash."""
        return Objects(self, self._environ)

    @cached_property
    def remote_name(self) -> str | None:
        """The remote in use: set from the settings, else DVC's default, else the only one there is."""
        names = self.remote_names()
        return self.default_remote() or (names[0] if len(names) == 1 else None)

    # -------------------------------------------------------------------------------------- planning

    def plan(
        self,
        targets: Sequence[str] = (),
        durations: Mapping[str, float] | None = None,
        lost: Collection[str] = (),
    ) -> tuple[StagePlan, ...]:
        """The state of every stage; see `mlbutler.project.plan`.

        Args:
            lost: paths of outputs that no store holds: a stage that makes one that is needed is stale.

        Raises:
            UsageError: a target names no stage. ProjectError: the project cannot be read.
        """
        from mlbutler.project.plan import Hint, Planner
        from mlbutler.project.run_cache import find_run

        self._check_targets(targets)

        def find(stage: Stage, hashes: Mapping[str, Recorded]) -> Mapping[str, Recorded] | None:
            found = find_run(self.repo, stage, hashes, self._recorded_run)
            objects = [out.oid for out in found.values()] if found else []
            return (
                found if objects and all(oid is not None and self.objects.obtainable(oid) for oid in objects) else None
            )

        self._planner = Planner(
            self.stages,
            self._present(),
            find,
            self.objects.at_hand,
            targets=targets,
            hint=Hint(durations or {}),
            lost=lost,
        )
        try:
            return tuple(self._planner.plan())
        except OSError as error:
            raise ProjectError(f"A dependency cannot be read: {error}", "Check its permissions.") from error

    def _recorded_run(self, key: str) -> Mapping[str, Any] | None:
        """The entry of DVC's run cache for a key: in the clone, the mirror or the remote."""
        from mlbutler.project.run_cache import newest

        if self.build_runs is not None:
            return self.build_runs.find(key, lambda folder: self.objects.fetch_runs(key, folder))
        folders = [place / "runs" for place in (self.cache_dir, self.mirror) if place is not None]
        found = newest(folders, key)
        return newest(folders[:1], key) if found is None and self.objects.fetch_runs(key, self.cache_dir) else found

    def unsettled(self) -> tuple[StagePlan, ...]:
        """The stages whose outputs are not, or not known to be, those of the code, data and parameters here, in order.

        Decided from what is at hand, like `plan`; no cache is asked what it could restore. A stage that DVC runs
        every time is none for that alone.

        Raises:
            ProjectError: the project cannot be read.
        """
        from mlbutler.record import StageState

        stale: dict[str, StagePlan] = {}
        states = (StageState.STALE, StageState.CANNOT_RUN, StageState.NOT_KNOWN)
        for plan in self.judged():
            own = any(cause.kind not in ("always", "upstream") for cause in plan.causes)
            above = any(cause.kind == "upstream" and cause.subject in stale for cause in plan.causes)
            if plan.state in states and (own or above):
                stale[plan.name] = plan
        return tuple(stale.values())

    def judged(self) -> tuple[StagePlan, ...]:
        """The state of every stage from what is at hand; no cache is asked what it could restore.

        Raises:
            ProjectError: the project cannot be read.
        """
        from mlbutler.project.plan import Planner

        planner = Planner(self.stages, self._present(), lambda stage, hashes: None, self.objects.at_hand)
        try:
            return tuple(planner.plan())
        except OSError as error:
            raise ProjectError(f"A dependency cannot be read: {error}", "Check its permissions.") from error

    def _present(self) -> Present:
        from mlbutler.project.present import Present

        return Present(self.stages, self.tree, self.objects, self.outside)

    @cached_property
    def outside(self) -> Outside:
        """What lies on other storage than the project's own."""
        from mlbutler.project.outside import Outside

        return Outside(self.repo, self.refused, agreed=self._agreed is not None)

    def runs_of(self, names: Collection[str]) -> dict[str, frozenset[tuple[str, ObjectId | None]]]:
        """Key in DVC's run cache -> named outputs, of the runs of these stages that dvc.lock records now."""
        from mlbutler.project.run_cache import recorded_run

        return dict(
            found
            for stage in self.stages.pipeline()
            if stage.name in names and (found := recorded_run(self.repo, stage)) is not None
        )

    def _check_targets(self, targets: Sequence[str]) -> None:
        known = {name for s in self.stages.pipeline() for name in (s.name, s.name.split("@")[0], s.file)}
        known |= {out.path for s in self.stages.pipeline() for out in s.outputs}
        for target in targets:
            if target not in known:
                import difflib

                near = difflib.get_close_matches(target, known, n=3)
                hint = f"Did you mean {', '.join(near)}?" if near else "See `dvc stage list`."
                raise UsageError(f"There is no stage '{target}'.", hint)

    def needed(self, plans: Sequence[StagePlan]) -> tuple[Need, ...]:
        """The objects that the stale ones of `plans` need; restorable ones need their recorded outputs too."""
        needs: dict[tuple[str, str], Need] = {}
        for plan in plans:
            if plan.state not in (StageState.STALE, StageState.RESTORABLE):
                continue
            needs |= {(need.path, need.oid.md5): need for need in self.needs_of(plan.needs)}
            restored = self._planner.restored_outputs().get(plan.name, {}) if self._planner else {}
            for path, output in restored.items():
                if output.oid is not None:
                    needs[(path, output.oid.md5)] = Need(path, output.oid, (), output.size, False)
        return tuple(needs.values())

    def needs_of(self, paths: Iterable[str]) -> Iterator[Need]:
        """The objects of those recorded artifacts, or parts of them, that are not in the work tree."""
        for path in paths:
            owner = self.stages.owner(path)
            if owner is None or (recorded := owner[1].recorded) is None or (oid := recorded.oid) is None:
                continue
            out = owner[1]
            if self.tree.exists(path) and self.tree.exists(out.path):
                continue
            inside = (path[len(out.path) + 1 :],) if path != out.path else ()
            yield Need(path, oid, inside, recorded.size, True, out.remote, owner[0].imported, recorded.files)

    def early(self, paths: Iterable[str], mirror: LocalStore | None) -> Early:
        """Begins to link these artifacts into the work tree, as far as it can, while `mirror` still fills the cache."""
        from mlbutler.project.checkout import executables, kinds_of_links
        from mlbutler.project.directory_links import Early

        if mirror is None or "hardlink" not in kinds_of_links(self.repo, hardlink=self.hardlink)[:2]:
            return Early(self.root, None, ())
        without = executables(self.repo) | partial_directories(self.root)
        owners = {path: self.stages.owners.get(path) for path in paths}
        found = {path for path, owner in owners.items() if owner is not None and not owner[1].external}
        return Early(self.root, mirror, found - without)

    def check_laying_out(self, paths: Sequence[str]) -> None:
        """May these recorded artifacts, or paths in them, be put into the work tree? See `project.overwriting`.

        Raises:
            PathRefused, UnsavedWork, ProjectError.
        """
        from mlbutler.project.overwriting import check_laying_out

        check_laying_out(self, self._not_in_place(paths))

    def check_running(self, names: Collection[str]) -> None:
        """May these stages run, and DVC remove their outputs before? See `project.overwriting`.

        Raises:
            PathRefused, UnsavedWork, ProjectError.
        """
        from mlbutler.project.overwriting import check_running

        self.look.again()
        check_running(self, [stage for stage in self.stages.pipeline() if stage.name in names])

    def _not_in_place(self, paths: Sequence[str]) -> list[str]:
        partial, owners = partial_directories(self.root), self.stages.owners
        return [
            path
            for path in paths
            if path in partial or not self._is_seen(path, owners[path][1].recorded if path in owners else None)
        ]

    def checkout(
        self, paths: Sequence[str], progress: Any = None, whole: Whole | None = None, early: Early | None = None
    ) -> None:
        """Put recorded artifacts from the cache into the work tree; a path may lie inside a directory.

        Args:
            whole: knows the files of the cache's objects. early: has begun with some.

        Raises:
            PathRefused, UnsavedWork: see `check_laying_out`.
            ProjectError: DVC could not, because a file is in the way or an object is not in the cache.
            DiskFull: no space is left.
        """
        from mlbutler.project.checkout import by_dvc, lay_out
        from mlbutler.project.overwriting import check_laying_out, remove_links

        left = self._not_in_place(paths)
        outputs = {path: owner[1] for path in paths if (owner := self.stages.owners.get(path)) is not None}
        recorded = {path: out.recorded for path, out in outputs.items() if out.recorded is not None}
        wanted = [outputs[path] for path in left if path in outputs]
        check_laying_out(self, left)  # bringing the objects may have taken hours
        made = lay_out(
            self.root, self.repo, self.cache_dir, wanted, progress, hardlink=self.hardlink, whole=whole, early=early
        )
        rest = [path for path in left if path not in made]
        if self.discard:
            remove_links(self, rest)
        by_dvc(self.root, self.repo, rest)
        owners = {owner[1].path for path in paths if (owner := self.stages.owner(path)) is not None}
        note_partial(self.root, add=owners - recorded.keys(), remove=recorded)
        self.seen.remember({path: recorded[path] for path in left if path in recorded}, wait=True, written=made)
        self.look.note(self.root, {path: signature for path, signature in made.items() if signature is not None})
        self.__dict__.pop("tree", None)

    @cached_property
    def seen(self) -> Seen:
        """What present files were when they were last looked at."""
        return Seen(self.root, self.look)

    def _is_seen(self, path: str, recorded: Recorded | None) -> bool:
        return recorded is not None and self.seen.get(path, recorded.algorithm) == recorded

    # ------------------------------------------------------------------------------------ comparing

    def snapshots(self, base: str | None, prefix: str, tables: Sequence[str] = ()) -> tuple[Snapshot, Snapshot]:
        """Both sides of a comparison: the commit `base` (None: nothing) and the work tree.

        Args:
            prefix: the project's path from the repository's root, '' or ``sub/folder/``.
            tables: paths of files of any size that are compared row by row.
        """
        from mlbutler.project.snapshot import read_snapshots

        return read_snapshots(self, base, prefix, tables)

    # -------------------------------------------------------------------------------- what is Git's

    def result_paths(self) -> tuple[str, ...]:
        """Files that Git keeps and a reproduction may change: dvc.lock, uncached outputs, .gitignore files."""
        paths: dict[str, None] = {}
        for stage in self.stages.pipeline():
            paths[stage.lock_file] = None
            for out in stage.outputs:
                if out.external:
                    continue
                if not out.cached:
                    paths[out.path] = None
                else:
                    parent = out.path.rpartition("/")[0]
                    paths[f"{parent}/.gitignore" if parent else ".gitignore"] = None
        return tuple(paths)

    def dependency_paths(self) -> tuple[str, ...]:
        """Everything a stage is made from: dvc.yaml and .dvc files, dependencies, parameter files, settings of DVC."""
        paths: dict[str, None] = {".dvc/config": None}
        for stage in self.stages.ordered:
            paths[stage.file] = None
            paths |= dict.fromkeys(dependency.path for dependency in stage.dependencies)
            paths |= dict.fromkeys(params.path for params in stage.params)
        return tuple(paths)

    def read_paths(self) -> tuple[str, ...]:
        """Every path on this machine that a plan looks at: dependencies, parameter files, outputs."""
        paths: dict[str, None] = {}
        for stage in self.stages.ordered:
            paths |= dict.fromkeys(d.path for d in stage.dependencies if not d.is_url)
            paths |= dict.fromkeys(params.path for params in stage.params)
            paths |= dict.fromkeys(out.path for out in stage.outputs if not out.is_url)
        return tuple(paths)
