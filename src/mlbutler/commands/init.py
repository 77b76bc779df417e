"""`mlbutler init`: the files that let Jenkins serve a DVC project."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mlbutler import atomic
from mlbutler.console import Console, human_bytes
from mlbutler.errors import EXIT_JUDGED, EXIT_PASSED, UsageError
from mlbutler.git import Git
from mlbutler.project.kept import not_in_git
from mlbutler.report.numbers import count
from mlbutler.scaffold import manifest, wheel
from mlbutler.scaffold.changes import Action, FileChange, decide, merge
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.detected import DetectedProject
from mlbutler.scaffold.manifest import ScaffoldManifest
from mlbutler.scaffold.render import KUBERNETES, LABEL, ScaffoldOptions, parse_agent, render_files
from mlbutler.scaffold.wheel import Wheel
from mlbutler.settings.reading import FILE_NAME
from mlbutler.symlinks import Symlinks
from mlbutler.version import __version__

_DONE = {
    Action.CREATE: "created", Action.UNCHANGED: "unchanged", Action.REPLACE: "overwritten", Action.MERGE: "updated",
    Action.CONFLICT: "conflict", Action.REMOVE: "removed",
}  # fmt: skip
_TO_DO = {
    Action.CREATE: "to be created", Action.UNCHANGED: "unchanged", Action.REPLACE: "to be overwritten",
    Action.MERGE: "to be updated", Action.CONFLICT: "conflict", Action.REMOVE: "to be removed",
}  # fmt: skip
_OWN_DOCKERFILE = "Dockerfile.mlbutler"


@dataclass(frozen=True)
class InitOptions:
    """What the command line asks of `init`.

    Attributes:
        agent, mirror, image, gate_as, requirement, gpu, shm_size: see `scaffold.render.ScaffoldOptions`; None: as the
            last time.
        dry_run: write nothing. update: keep edits of what was generated. yes: overwrite without asking.
    """

    agent: str | None = None
    mirror: str | None = None
    image: str | None = None
    gate_as: str | None = None
    requirement: str | None = None
    gpu: bool | None = None
    shm_size: str | None = None
    dry_run: bool = False
    update: bool = False
    yes: bool = False


def init(
    directory: Path,
    console: Console,
    asked: InitOptions,
) -> int:
    """Look at the project at `directory` and write what Jenkins needs.

    Raises:
        UsageError: no DVC project, options that do not fit, or a file would be lost and nobody can be asked.
        PathRefused: a link is on the way of a file.
    """
    root, found = detect_project(directory, os.environ)
    before = _settled(root, manifest.load_manifest(root))
    options = _options(before.options if before else ScaffoldOptions(), asked)
    own = wheel.running_wheel() if options.agent != LABEL and not options.requirement else None
    files = _files(root, found, before, options, own)
    git = Git(root, os.environ)
    # A file that is read here would be shown, and one that is written could be anybody's.
    written = (*files, manifest.FILE, *([own.path] if own else []))
    Symlinks(root, git, every=False).check(name for path in written for name in (path, f"{path}.merge"))
    changes = [
        decide(path, root, new, before.files.get(path) if before and asked.update else None, merge(git))
        for path, new in files.items()
    ]
    if options.agent != LABEL:
        changes += wheel.decide_wheels(root, own, "".join(change.after for change in changes))
    _tell(console, found, changes, _source(options, own))
    if not asked.dry_run:
        _ask(console, changes, yes=asked.yes)
        _write(root, changes, _next_manifest(options, before, files, changes))
    conflicts = [change for change in changes if change.action is Action.CONFLICT]
    there = not_in_git(git, [change.path for change in changes if change.action is not Action.REMOVE])
    ignored = [path for path, ignored in there.items() if ignored]
    _summary(console, changes, ignored, dry_run=asked.dry_run)
    if console.json:
        words = _TO_DO if asked.dry_run else _DONE
        print(json.dumps({
            "project": str(root), "dry_run": asked.dry_run, "found": asdict(found), "options": asdict(options),
            "files": [{"path": change.path, "action": words[change.action], "diff": _shown_diff(change)}
                      for change in changes],
        }, indent=2, ensure_ascii=False))  # fmt: skip
    return EXIT_JUDGED if conflicts else EXIT_PASSED


def _options(last: ScaffoldOptions, asked: InitOptions) -> ScaffoldOptions:
    kind, label = parse_agent(asked.agent) if asked.agent is not None else (last.agent, last.label)
    options = ScaffoldOptions(
        agent=kind,
        label=label,
        mirror=last.mirror if asked.mirror is None else asked.mirror,
        image=last.image if asked.image is None else asked.image,
        gate_as=asked.gate_as or last.gate_as,
        requirement=last.requirement if asked.requirement is None else asked.requirement,
        gpu=last.gpu if asked.gpu is None else asked.gpu,
        shm_size=last.shm_size if asked.shm_size is None else asked.shm_size,
    )
    if options.agent == LABEL and (asked.gpu or asked.shm_size):
        raise UsageError(
            "--gpu and --shm-size are for containers: with label:NAME builds run on the agent itself.",
            "Label the agents that have graphics cards, such as --agent label:gpu.",
        )
    if options.agent == KUBERNETES and not options.image:
        raise UsageError(
            "Kubernetes pulls the image of its pod: its name is missing.",
            "Pass --image REGISTRY/NAME:TAG; the Dockerfile that is written builds it.",
        )
    return options


def _files(
    root: Path, found: DetectedProject, before: ScaffoldManifest | None, options: ScaffoldOptions, own: Wheel | None
) -> dict[str, str]:
    """Return what is generated.

    A Dockerfile that somebody else wrote stays as it is, and ours gets another name.
    """
    names = ("Dockerfile", _OWN_DOCKERFILE)
    known = next((name for name in names if before is not None and name in before.files), None)
    if known is not None or options.agent == LABEL:
        return render_files(found, options, known or "Dockerfile", own)
    files = render_files(found, options, wheel=own)
    # Our own text there is no other's work: it is what a first `init` wrote before it was interrupted.
    foreign = any(
        (root / name).exists() and (root / name).read_bytes() != files[name].encode()
        for name in ("Dockerfile", ".dockerignore")
    )
    return render_files(found, options, _OWN_DOCKERFILE, own) if foreign else files


def _settled(root: Path, before: ScaffoldManifest | None) -> ScaffoldManifest | None:
    """Return whether a conflict is settled: its `.merge` file was deleted, so the file is what its user wants."""
    if before is None:
        return None
    settled = {path: text for path, text in before.conflicts.items() if not (root / f"{path}.merge").exists()}
    open_ = {path: text for path, text in before.conflicts.items() if path not in settled}
    return ScaffoldManifest(before.options, {**before.files, **settled}, open_)


def _next_manifest(
    options: ScaffoldOptions, before: ScaffoldManifest | None, files: dict[str, str], changes: Sequence[FileChange]
) -> ScaffoldManifest:
    """Return what the next update starts from.

    A file in conflict is merged again from where it was, until it is settled.
    """
    kept = dict(before.files) if before else {}
    conflicts = {change.path: files[change.path] for change in changes if change.action is Action.CONFLICT}
    kept.update({path: text for path, text in files.items() if path not in conflicts})
    return ScaffoldManifest(options, kept, conflicts)


def _tell(console: Console, found: DetectedProject, changes: Sequence[FileChange], source: str) -> None:
    where = f", in {found.folder}" if found.folder else ""
    console.line(f"project   {found.name}{where}: {count(len(found.stages), 'stage')}")
    console.line(f"data      {_data(found)}")
    console.line(f"forge     {found.forge or 'none known'}, pull requests go to {found.target or 'an unknown branch'}")
    files = ", ".join(found.image.files) or "no dependency file"
    console.line(f"code      {found.image.language}, {files}; runs on {found.image.base}")
    console.line(f"mlbutler  {source}")
    console.line(f"tests     {', '.join(tool.name for tool in found.tests) or 'none found'}")
    console.line(f"linters   {', '.join(tool.name for tool in found.linters) or 'none found'}")
    if found.image.others:
        console.line(f"note      the image does not cater for {', '.join(found.image.others)}: add to the Dockerfile")
    for change in changes:
        if diff := _shown_diff(change):
            console.line("")
            console.line(diff)
        elif change.action is Action.CREATE:
            console.detail(f"\n{change.diff()}")


def _source(options: ScaffoldOptions, own: Wheel | None) -> str:
    """Say where the image has mlbutler from."""
    if options.agent == LABEL:
        return "installed on the agents"
    if options.requirement:
        return f"installed in the image as {options.requirement}"
    if own is None:
        return f"{__version__} from the package index, as it was installed here"
    size = human_bytes(len(own.content))
    return (
        f"{__version__} came from no package index: the image takes it from {own.path} ({size}), which belongs in Git; "
        "or name with --requirement what pip installs"
    )


def _data(found: DetectedProject) -> str:
    if found.remote:
        return f"DVC remote '{found.remote.name}' ({found.remote.kind})"
    if not found.remotes:
        return "no DVC remote"
    names = ", ".join(found.remotes)
    return f"no default among the DVC remotes {names}: name one with `dvc remote default`, or as data.remote"


def _shown_diff(change: FileChange) -> str:
    return change.diff() if change.action in (Action.REPLACE, Action.MERGE, Action.CONFLICT) else ""


def _ask(console: Console, changes: Sequence[FileChange], *, yes: bool) -> None:
    lost = [change.path for change in changes if change.action is Action.REPLACE]
    if not lost or yes:
        return
    names = ", ".join(lost)
    if console.json or console.quiet or not sys.stdin.isatty():
        raise UsageError(
            f"These files are there already and would be overwritten: {names}. Nothing was written.",
            "Look at the diff with --dry-run; then pass --yes, or --update to keep your edits of what init wrote.",
        )
    import click

    click.confirm(f"\nOverwrite {names}?", abort=True, err=True)


def _write(root: Path, changes: Sequence[FileChange], kept: ScaffoldManifest) -> None:
    """Write in an order that lets a second `init` finish after an interrupt.

    The manifest comes after the files that are merged by it, and the settings last: where there are any, none are
    generated.
    """
    settings = [change for change in changes if change.path == FILE_NAME]
    for change in changes:
        if change not in settings:
            _write_one(root, change)
    text = manifest.render_manifest(kept)
    target = root / manifest.FILE
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        atomic.write(target, text.encode())
    for change in settings:
        _write_one(root, change)


def _write_one(root: Path, change: FileChange) -> None:
    if change.action is Action.CONFLICT:
        atomic.write(root / f"{change.path}.merge", change.data)
    elif change.action is Action.REMOVE:
        (root / change.path).unlink(missing_ok=True)
    elif change.action is not Action.UNCHANGED:
        atomic.write(root / change.path, change.data)


def _summary(console: Console, changes: Sequence[FileChange], ignored: Sequence[str], *, dry_run: bool) -> None:
    words = _TO_DO if dry_run else _DONE
    console.line("")
    for change in changes:
        console.line(f"{words[change.action]:<18} {change.path}")
    for change in changes:
        if change.action is Action.CONFLICT:
            console.error(
                f"{change.path}: your edits and the new text meet in the same lines; it was left as it is."
                + ("" if dry_run else f" Take what you want from {change.path}.merge, then delete that file.")
            )
    if ignored:
        console.line(f"note      Git ignores {', '.join(ignored)}: `git add --force`, since Jenkins gets what Git has")
    if dry_run:
        console.line("Nothing was written.")
    elif any(change.action is Action.CREATE for change in changes):
        console.line("\nNext: look at the files, commit them, then give the repository to Jenkins (docs/jenkins.md);")
        console.line("`mlbutler jenkins up` starts one on this machine.")
