"""`mlbutler init`: the files that let Jenkins serve a DVC project."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mlbutler import atomic
from mlbutler.commands.init_screen import DONE, TO_DO, diff_to_show, print_summary, remark_json, source, tell
from mlbutler.console import Console
from mlbutler.errors import EXIT_JUDGED, EXIT_PASSED, UsageError
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.project.not_in_git import not_in_git
from mlbutler.scaffold import manifest, wheel
from mlbutler.scaffold.carried import GPUS, SHM_SIZE, Carried
from mlbutler.scaffold.carry import FormerJenkinsfile
from mlbutler.scaffold.changes import Action, FileChange, decide_change, merge
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.detected import DetectedProject
from mlbutler.scaffold.files import read_text
from mlbutler.scaffold.former import JENKINSFILE, WRITTEN_BY, giving, read_former
from mlbutler.scaffold.manifest import ScaffoldManifest
from mlbutler.scaffold.options import DOCKER, GITLAB, JENKINS, KUBERNETES, LABEL, ScaffoldOptions, parse_agent
from mlbutler.scaffold.render import has_dockerfile, render_files
from mlbutler.scaffold.wheel import Wheel
from mlbutler.scaffold.workflow import GITLAB_FILE
from mlbutler.settings.reading import FILE_NAME
from mlbutler.symlinks import Symlinks

_OWN_DOCKERFILE = "Dockerfile.mlbutler"


@frozen
class InitOptions:
    """What the command line asks of `init`.

    Attributes:
        ci, agent, mirror, image, gate_as, requirement, gpu, shm_size, train, commands: see
            `scaffold.options.ScaffoldOptions`; None: as the last time.
        dry_run: write nothing. update: keep edits of what was generated. yes: overwrite without asking.
    """

    ci: str | None = None
    agent: str | None = None
    mirror: str | None = None
    image: str | None = None
    gate_as: str | None = None
    requirement: str | None = None
    gpu: bool | None = None
    shm_size: str | None = None
    train: bool | None = None
    commands: bool | None = None
    dry_run: bool = False
    update: bool = False
    yes: bool = False


def init(
    directory: Path,
    console: Console,
    asked: InitOptions,
) -> int:
    """Look at the project at `directory` and write what the CI server needs.

    Raises:
        UsageError: no DVC project, options that do not fit, or a file would be lost and nobody can be asked.
        PathRefused: a link is on the way of a file.
    """
    root, found = detect_project(directory, os.environ)
    before = _settle_conflicts(root, manifest.load_manifest(root))
    former = _former(root, found, before)
    found = giving(found, former.carried)
    options = _options(before.options if before else _initial_options(former.carried, asked), asked)
    own = wheel.running_wheel() if options.agent != LABEL and not options.requirement else None
    files = _files(root, found, before, options, own)
    git = Git(root, os.environ)
    # A file that is read here would be shown, and one that is written could be anybody's.
    written = (*files, manifest.FILE, *([own.path] if own else []))
    links = Symlinks(root, git, every=False)
    links.check(name for path in written for name in (path, f"{path}.merge"))
    changes = [
        decide_change(path, root, new, before.files.get(path) if before and asked.update else None, merge(git))
        for path, new in files.items()
    ]
    if options.agent != LABEL:
        changes += wheel.decide_wheels(root, own, "".join(change.after for change in changes))
    links.check(change.path for change in changes if change.action is Action.REMOVE)
    tell(console, found, former, changes, source(options, own))
    if not asked.dry_run:
        _ask(console, changes, yes=asked.yes)
        kept = replace(before or ScaffoldManifest(options), carried=former.carried)
        _write(root, changes, _next_manifest(options, kept, files, changes), kept)
    conflicts = [change for change in changes if change.action is Action.CONFLICT]
    there = not_in_git(git, [change.path for change in changes if change.action is not Action.REMOVE])
    ignored = [path for path, ignored in there.items() if ignored]
    print_summary(console, changes, ignored, options, dry_run=asked.dry_run)
    if console.json:
        words = TO_DO if asked.dry_run else DONE
        print(json.dumps({
            "project": str(root), "dry_run": asked.dry_run, "found": asdict(found), "options": asdict(options),
            "taken": [remark_json(remark) for remark in former.taken],
            "left": [remark_json(remark) for remark in former.left],
            "files": [{"path": change.path, "action": words[change.action], "diff": diff_to_show(change)}
                      for change in changes],
        }, indent=2, ensure_ascii=False))  # fmt: skip
    return EXIT_JUDGED if conflicts else EXIT_PASSED


def _former(root: Path, found: DetectedProject, before: ScaffoldManifest | None) -> FormerJenkinsfile:
    """Return what the Jenkinsfile gave that was there before the first `init`."""
    kept = before.carried if before else Carried()
    return FormerJenkinsfile(kept) if before and JENKINSFILE in before.files else read_former(root, found, kept)


def _initial_options(carried: Carried, asked: InitOptions) -> ScaffoldOptions:
    """Return the options that a first `init` begins with: Jenkins' builds stay on the agents that they ran on."""
    if asked.ci not in (None, JENKINS):
        return ScaffoldOptions()
    agent = LABEL if carried.on_agents else DOCKER
    memory = [option.removeprefix(SHM_SIZE) for option in carried.options if option.startswith(SHM_SIZE)]
    return ScaffoldOptions(
        agent=agent,
        label=carried.label or ScaffoldOptions.label,
        gpu=GPUS in carried.options,
        shm_size=memory[0] if memory else "",
    )


def _options(last: ScaffoldOptions, asked: InitOptions) -> ScaffoldOptions:
    kind, label = parse_agent(asked.agent) if asked.agent is not None else (last.agent, last.label)
    options = ScaffoldOptions(
        ci=asked.ci or last.ci,
        agent=kind,
        label=label,
        mirror=last.mirror if asked.mirror is None else asked.mirror,
        image=last.image if asked.image is None else asked.image,
        gate_as=asked.gate_as or last.gate_as,
        requirement=last.requirement if asked.requirement is None else asked.requirement,
        gpu=last.gpu if asked.gpu is None else asked.gpu,
        shm_size=last.shm_size if asked.shm_size is None else asked.shm_size,
        train=last.train if asked.train is None else asked.train,
        commands=last.commands if asked.commands is None else asked.commands,
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

    A Dockerfile or a `.gitlab-ci.yml` that somebody else wrote stays as it is, and ours gets another name.
    """
    included = options.ci == GITLAB and _is_foreign(root / GITLAB_FILE, before)
    names = ("Dockerfile", _OWN_DOCKERFILE)
    known = next((name for name in names if before is not None and name in before.files), None)
    if known is not None or not has_dockerfile(options):
        return render_files(found, options, known or "Dockerfile", own, included=included)
    files = render_files(found, options, wheel=own, included=included)
    # Our own text there is no other's work: it is what a first `init` wrote before it was interrupted.
    foreign = any(
        (root / name).exists() and (root / name).read_bytes() != files[name].encode()
        for name in ("Dockerfile", ".dockerignore")
    )
    return render_files(found, options, _OWN_DOCKERFILE, own, included=included) if foreign else files


def _is_foreign(file: Path, before: ScaffoldManifest | None) -> bool:
    """Return whether a file is there that `mlbutler init` did not write."""
    if before is not None and file.name in before.files:
        return False
    return file.exists() and WRITTEN_BY not in "\n".join(read_text(file).splitlines()[:3])


def _settle_conflicts(root: Path, before: ScaffoldManifest | None) -> ScaffoldManifest | None:
    """Return the manifest with those conflicts settled whose `.merge` file was deleted: the file stays as it is."""
    if before is None:
        return None
    settled = {path: text for path, text in before.conflicts.items() if not (root / f"{path}.merge").exists()}
    open_ = {path: text for path, text in before.conflicts.items() if path not in settled}
    return replace(before, files={**before.files, **settled}, conflicts=open_)


def _next_manifest(
    options: ScaffoldOptions, before: ScaffoldManifest, files: dict[str, str], changes: Sequence[FileChange]
) -> ScaffoldManifest:
    """Return what the next update starts from.

    A file in conflict is merged again from where it was, until it is settled.
    """
    kept = dict(before.files)
    conflicts = {change.path: files[change.path] for change in changes if change.action is Action.CONFLICT}
    kept.update({path: text for path, text in files.items() if path not in conflicts})
    return ScaffoldManifest(options, kept, conflicts, before.carried)


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


def _write(root: Path, changes: Sequence[FileChange], after: ScaffoldManifest, kept: ScaffoldManifest) -> None:
    """Write in an order that lets a second `init` finish after an interrupt.

    The manifest comes after the files that are merged by it, and the settings last: where there are any, none are
    generated. What the former Jenkinsfile gave is kept before that is gone.
    """
    if kept.carried != Carried():
        _write_manifest(root, kept)
    settings = [change for change in changes if change.path == FILE_NAME]
    for change in changes:
        if change not in settings:
            _write_one(root, change)
    _write_manifest(root, after)
    for change in settings:
        _write_one(root, change)


def _write_manifest(root: Path, content: ScaffoldManifest) -> None:
    text = manifest.render_manifest(content)
    target = root / manifest.FILE
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        atomic.write(target, text.encode())


def _write_one(root: Path, change: FileChange) -> None:
    if change.action is Action.CONFLICT:
        atomic.write(root / f"{change.path}.merge", change.data)
    elif change.action is Action.REMOVE:
        (root / change.path).unlink(missing_ok=True)
    elif change.action is not Action.UNCHANGED:
        atomic.write(root / change.path, change.data)
