"""Open a run: find the project, read settings, find out what the change is, and take the clone's lock."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlbutler.anonymous import anonymous
from mlbutler.commands.clone_lock import FOLDER, lock_after_others, lock_clone, lock_step, lock_to_begin
from mlbutler.console import Console
from mlbutler.errors import UsageError
from mlbutler.extras import installed_version
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.held_back import held_back_names, values_to_hide
from mlbutler.project.tracked import refuse_tracked
from mlbutler.record import Change, Environment, Record
from mlbutler.record_file import read_record, record_path
from mlbutler.secrets import Redactor, is_secret_name
from mlbutler.settings import LoadedSettings, load
from mlbutler.steps.context import RunContext, Trust
from mlbutler.symlinks import Symlinks
from mlbutler.version import __version__

if TYPE_CHECKING:
    from mlbutler.git.address import RemoteAccess
    from mlbutler.isolation import VisiblePaths
    from mlbutler.remotes.trust import Agreement

# How names of credentials for DVC's remotes begin.
_REMOTES = ("MLBUTLER_REMOTE_", "AWS_", "AZURE_", "GOOGLE_", "GCP_", "GCLOUD_", "DAGSHUB_", "OSS_", "ALIYUN_")


@contextmanager
def begin(
    directory: Path,
    console: Console,
    against: str | None = None,
    *,
    anew: bool = False,
    offline: bool = False,
    beside: str = "",
    watching: bool = False,
    telling: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Iterator[RunContext]:
    """Return the working state for one command, with the clone locked against a second one.

    A record of the same commit is continued, on a CI server with the merge base it began with unless `against` names
    another; any other record, or any at all when `anew`, is begun again.

    Args:
        offline: the command uses no credential: on a CI server, what an earlier step of this build found out
            about the change is taken from the record, and Git's remote is not asked again.
        beside: the name of a step that may work while others do; the clone is locked only while it begins.
        watching: nothing is changed, so that other processes may work in this clone.
        telling: the command tells what a run found: it waits for a verb that is still ending, and refuses a record of
            another commit, build or pull request.

    Raises:
        UsageError: not a git repository, no commits, not a DVC project; with `telling`, no record of this run; a commit
            brings what only a clone remembers.
        SettingsError: see `settings.load`.
        BusyError: another mlbutler works in this clone. PathRefused: see `mlbutler.symlinks`.
    """
    environ = os.environ if environ is None else environ
    console.redactor = Redactor(values_to_hide(environ))
    clone = _open_clone(directory, console, environ, fresh=anew)
    with ExitStack() as stack:
        if watching:
            found = _record(clone, against, anew=anew, offline=offline, repair=False)
        elif beside:
            stack.enter_context(lock_step(clone.root, beside))
            with lock_to_begin(clone.root):
                found = _record(clone, against, anew=anew, offline=offline)
        else:
            wait = lock_after_others(clone.root, console.line) if telling else lock_clone(clone.root)
            stack.enter_context(wait)
            found = _record(clone, against, anew=anew, offline=offline, telling=telling)
        if found.record.change.note:
            console.line(f"Note: {found.record.change.note}.")
        for sentence in found.record.moved_remotes:
            console.line(f"Note: {sentence}.")
        yield _context(stack, clone, found, console, watching=watching)


@frozen
class _OpenedClone:
    """Hold a clone as it was opened; `access` is how Git's remote is reached on a CI server, None on a laptop."""

    root: Path
    git: Git
    environ: Mapping[str, str]
    loaded: LoadedSettings
    access: RemoteAccess | None


@frozen
class _Begun:
    """Hold the record to continue, the DVC remotes agreed on the target branch, and the unalterable commits.

    The last two are None where the record alone names them. The commits are those that the change cannot alter.
    """

    record: Record
    remotes: tuple[Agreement, ...] | None
    revisions: tuple[str, ...] | None


def _open_clone(directory: Path, console: Console, environ: Mapping[str, str], *, fresh: bool) -> _OpenedClone:
    """Find the project and read its settings, and refuse what a commit must not bring."""
    from mlbutler.change.access import access
    from mlbutler.ci import facts

    root, git = find_project(directory, environ)
    loaded = load(root, environ)
    refuse_tracked(git, root, loaded.settings.data.mirror_path(root))
    if (reached := access(git, facts(environ), environ, loaded, fresh=fresh)) is not None:
        git = git.reaching(reached)
    if loaded.note:
        console.line(f"Warning: {loaded.note}.")
    loaded = _ignore_report_name(loaded, console, ci=facts(environ).ci != "local")
    _check_symlinks(root, git, environ, loaded)
    return _OpenedClone(root, git, environ, loaded, reached)


def _context(stack: ExitStack, clone: _OpenedClone, found: _Begun, console: Console, *, watching: bool) -> RunContext:
    """Return the working state; whatever keeps others from this process' secrets lasts until `stack` is closed."""
    from mlbutler.remotes.trust import without_moved_mirror

    trusted, reached, git = found.record.change.trusted, clone.access, clone.git
    left = stack.enter_context(nullcontext(clone.environ) if trusted else anonymous())
    # From here on the project's code may have run: what is in the clone is checked against its ids.
    loaded = without_moved_mirror(clone.loaded, found.remotes)
    if reached is not None:
        reached = dataclasses.replace(reached, fresh=False)
        reached = reached if trusted else reached.without_password()
        left, loaded = dict(left), _with_mirror(loaded, clone.root)
        # A laptop's verbs need none of these.
        from mlbutler import linux
        from mlbutler.user_files import without_user_files

        stack.enter_context(without_user_files(git.toplevel()))
        linux.hide_from_children()  # git may run a program that .git/config names
        if not watching:
            linux.interrupt_with_parent()
    context = RunContext(
        root=clone.root, loaded=loaded, console=console, record=found.record, environ=left,
        trust=Trust(found.remotes, reached, found.revisions, None if trusted else held_back_names(clone.environ)),
    )  # fmt: skip
    context.git = git.with_environment(left, reached)  # which knows the repository's root and the commits' ids already
    if reached is not None:
        from mlbutler.project.unseen import limit_reading

        stack.enter_context(limit_reading(git.toplevel(), lambda: _visible_paths(context)))
    return context


def _visible_paths(context: RunContext) -> VisiblePaths | None:
    from mlbutler.steps.isolated import visible_paths  # asked for when DVC reads something outside of the clone

    return visible_paths(context)


def _ignore_report_name(loaded: LoadedSettings, console: Console, *, ci: bool) -> LoadedSettings:
    """Return the settings without a `report.name` of the file's on a CI server.

    A change could take another pipeline's name, and with it the comment and the status that a branch protection needs.
    """
    if not ci or loaded.settings.report.name is None or loaded.sources.get("report.name", "").startswith("MLBUTLER_"):
        return loaded
    console.line("Warning: report.name is not taken from the settings' file: set MLBUTLER_REPORT_NAME in the job.")
    report = msgspec.structs.replace(loaded.settings.report, name=None)
    return dataclasses.replace(loaded, settings=msgspec.structs.replace(loaded.settings, report=report))


def _with_mirror(loaded: LoadedSettings, root: Path) -> LoadedSettings:
    """Return the settings with the mirror's whole path: ``~`` leads nowhere once there is no home."""
    mirror = loaded.settings.data.mirror_path(root)
    data = msgspec.structs.replace(loaded.settings.data, mirror=str(mirror) if mirror is not None else None)
    return dataclasses.replace(loaded, settings=msgspec.structs.replace(loaded.settings, data=data))


def _check_symlinks(root: Path, git: Git, environ: Mapping[str, str], loaded: LoadedSettings) -> None:
    from mlbutler.ci import facts

    symlinks = Symlinks(root, git, every=facts(environ).ci != "local")
    symlinks.check_folders()
    if (mirror := loaded.settings.data.mirror_path(root)) is not None:
        symlinks.check_inside(mirror, untracked=False)


def _record(
    clone: _OpenedClone, against: str | None, *, anew: bool, offline: bool, repair: bool = True, telling: bool = False
) -> _Begun:
    """Return the record to continue, and what it must not decide."""
    from mlbutler.remotes.trust import describe_moves, read_agreements, target_revisions
    from mlbutler.reproduce.rwlock import repair_rwlock

    root, git, environ, loaded = clone.root, clone.git, clone.environ, clone.loaded
    if repair:
        repair_rwlock(root)
    name = loaded.settings.report.name
    before = None if anew else read_record(record_path(root, name))
    change, revisions = _change(git, environ, loaded, against, before if offline and not against else None)
    if git.address is not None:  # what an earlier record says is no address to send a token to
        change = dataclasses.replace(change, repository=git.address.url)
    if telling:
        _refuse_another_run(before, change, name)
    folder = root.relative_to(git.toplevel().resolve()).as_posix()
    folder = "" if folder == "." else folder
    prefix, told = f"{folder}/" if folder else "", revisions is None
    if told and _opens_remotes(environ):
        known: tuple[Agreement, ...] | None = ()
    else:
        known = read_agreements(git, change, prefix, target_revisions(git, change) if revisions is None else revisions)
    record = Record(
        change=change, environment=_environment(git), lock_hash=_lock_hash(root), project=folder,
        report_name=name or "", moved_remotes=describe_moves(root, loaded, known),
    )  # fmt: skip
    if before is None or not before.change.same_work(change):
        return _Begun(record, known, revisions)
    # On a laptop each command looks again: another target, or files edited since, would make the record untrue.
    looks = bool(against) or not repair or (change.ci == "local" and not telling)
    kept = change if looks or told else _keep_comparison(change, before.change)
    compare = before.compare if kept.base == before.change.base else None
    # Which report this is, too, is not what the record says: another's comment would be written over.
    fresh = ("environment", "project", "report_name", "lock_hash", "moved_remotes")
    now = {field: getattr(record, field) for field in fresh}
    return _Begun(dataclasses.replace(before, change=kept, compare=compare, **now), known, revisions)


def _keep_comparison(change: Change, before: Change) -> Change:
    """Return the change with what an earlier step of this build compared it with, which its report speaks of.

    All else of it decides where tokens and results go, and the project's code can write the record.
    """
    return dataclasses.replace(change, base=before.base, target_branch=before.target_branch, on_target=before.on_target)


def _change(
    git: Git, environ: Mapping[str, str], loaded: LoadedSettings, against: str | None, before: Record | None
) -> tuple[Change, tuple[str, ...] | None]:
    """Return the change, and the commits that it cannot alter.

    The record `before` says what the change is where it is of this build and nothing decides which credentials the
    code is given; the commits are None then. What it says decides nothing about credentials: that code can write it.
    """
    from mlbutler.change.detect import detect_with_tip
    from mlbutler.errors import AccessDenied, GitError
    from mlbutler.remotes.trust import revisions_with

    if before is None or not _holds(before, git, environ):
        change, tip = detect_with_tip(git, environ, loaded.settings, against)
    elif not loaded.settings.reproduce.pass_environment and not _opens_remotes(environ):
        return before.change, None
    else:
        try:
            change, tip = detect_with_tip(git, environ, loaded.settings)
        except (AccessDenied, GitError):  # Git's remote is not to be asked
            return before.change, None
    return change, tuple(revisions_with(git, change, tip))


def _opens_remotes(environ: Mapping[str, str]) -> bool:
    """Return whether there is a credential that DVC's remotes are opened with."""
    return any(name.startswith(_REMOTES) and is_secret_name(name) and value for name, value in environ.items())


def _refuse_another_run(before: Record | None, change: Change, name: str | None) -> None:
    """Refuse to report a run that is not this one: its comment and status would go to the wrong commit.

    On a CI server a build without any record is reported all the same: it ended before its first step.

    Raises:
        UsageError: the record is of another commit, build or pull request, or on a laptop there is none.
    """
    remedy = "Run `mlbutler run` here first; `mlbutler report --record FILE` renders any record."
    if before is None:
        if change.ci == "local":
            named = f" named '{name}'" if name else ""
            raise UsageError(f"There is no record of a run{named} in this clone.", remedy)
        return
    then = before.change
    other_build = bool(then.build_url and change.build_url) and then.build_url != change.build_url
    if not then.same_work(change) or other_build:
        raise UsageError(
            f"The record in {FOLDER} is not of this run: it is of {_describe_change(then)}, "
            f"and this is {_describe_change(change)}.",
            remedy,
        )


def _describe_change(change: Change) -> str:
    """Return what a run works on, in words that tell it from another."""
    what = f"pull request {change.number}{', from a fork,' if change.fork else ''} at " if change.number else ""
    merge = f" (checked out as {change.checkout[:10]})" if change.checkout != change.head else ""
    where = change.build_url or ("a laptop" if change.ci == "local" else change.ci)
    return f"{what}{change.head[:10]}{merge} on {where}"


def _holds(before: Record, git: Git, environ: Mapping[str, str]) -> bool:
    """Return whether the record is of the build that this environment describes, and of what is checked out."""
    from mlbutler.ci import facts

    now, then = facts(environ), before.change
    return (
        now.ci != "local"
        and (now.ci, now.kind, now.number, now.build_url) == (then.ci, then.kind, then.number, then.build_url)
        and then.checkout == git.head()
        and (then.fork or not now.fork)
        and then.approved == (now.approved_by if then.fork and now.approved == then.head else "")
    )


def find_project(directory: Path, environ: Mapping[str, str]) -> tuple[Path, Git]:
    """Return the root of the DVC project that `directory` is in, and git there; work there from now on.

    Raises:
        UsageError: there is none, or no Git repository, or no commit.
    """
    from mlbutler.project.root import find_root

    if not directory.is_dir():
        raise UsageError(f"No such directory: {directory}", "Check -C, or MLBUTLER_CHDIR.")
    git = Git(directory, environ)
    top = git.toplevel()
    git.heads()
    root = find_root(directory)
    if not root.is_relative_to(top.resolve()):
        raise UsageError(
            f"{directory} is a git repository inside the DVC project {root}, not part of it.",
            "Run at the DVC project's own root; a submodule is a project of its own.",
        )
    try:
        str(root).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{root}: DVC cannot work in a folder whose name is not UTF-8.", "Rename it.") from error
    os.chdir(root)  # DVC names stages relative to the current directory
    return root, git.at(root)


def _environment(git: Git) -> Environment:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Environment(
        mlbutler=__version__,
        dvc=installed_version("dvc"),
        git=git.run("--version").text.removeprefix("git version "),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        host=os.environ.get("NODE_NAME") or platform.node(),
        cpus=os.cpu_count() or 1,
        memory=pages * size,
    )


def _lock_hash(root: Path) -> str:
    try:
        return hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest()
    except OSError:
        return ""
