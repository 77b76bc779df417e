"""What `mlbutler init` says: what it found, what becomes of each file, and what of a former Jenkinsfile."""

from __future__ import annotations

from collections.abc import Sequence

from mlbutler.console import Console, human_bytes
from mlbutler.numbers import count
from mlbutler.scaffold.carry import FormerJenkinsfile, Remark
from mlbutler.scaffold.changes import Action, FileChange
from mlbutler.scaffold.detected import DetectedProject
from mlbutler.scaffold.options import JENKINS, LABEL, ScaffoldOptions
from mlbutler.scaffold.variables import withheld_variables
from mlbutler.scaffold.wheel import Wheel
from mlbutler.scaffold.workflow import GITLAB_FILE, INCLUDED
from mlbutler.secrets import Redactor
from mlbutler.version import __version__

DONE = {
    Action.CREATE: "created", Action.UNCHANGED: "unchanged", Action.REPLACE: "overwritten", Action.MERGE: "updated",
    Action.CONFLICT: "conflict", Action.REMOVE: "removed",
}  # fmt: skip
TO_DO = {
    Action.CREATE: "to be created", Action.UNCHANGED: "unchanged", Action.REPLACE: "to be overwritten",
    Action.MERGE: "to be updated", Action.CONFLICT: "conflict", Action.REMOVE: "to be removed",
}  # fmt: skip


_NEXT = {
    JENKINS: "Next: look at the files, commit them, then give the repository to Jenkins (`mlbutler help jenkins`);\n"
    "`mlbutler jenkins up` starts one on this machine."
}
_NEXT_ELSEWHERE = "Next: look at the files, make the secrets that they name (`mlbutler help ci`), then commit and push."


def tell(
    console: Console, found: DetectedProject, former: FormerJenkinsfile, changes: Sequence[FileChange], where_from: str
) -> None:
    """Say what was found, and show what changes in files that are there."""
    where = f", in {found.folder}" if found.folder else ""
    console.line(f"project   {found.name}{where}: {count(len(found.stages), 'stage')}")
    console.line(f"data      {_data(found)}")
    console.line(f"forge     {found.forge or 'none known'}, pull requests go to {found.target or 'an unknown branch'}")
    files = ", ".join(found.image.files) or "no dependency file"
    console.line(f"code      {found.image.language}, {files}; runs on {found.image.base}")
    console.line(f"mlbutler  {where_from}")
    console.line(f"tests     {', '.join(tool.name for tool in found.tests) or 'none found'}")
    console.line(f"linters   {', '.join(tool.name for tool in found.linters) or 'none found'}")
    if found.image.others:
        console.line(f"note      nothing installs what {', '.join(found.image.others)} list: add that yourself")
    if found.python_path:
        folders = ", ".join(path or "the project's root" for path in found.python_path)
        console.line(f"imports   from {folders}: PYTHONPATH names it")
    _tell_former(console, found, former)
    for change in changes:
        if diff := diff_to_show(change):
            console.line("")
            console.line(diff)
        elif change.action is Action.CREATE:
            console.detail(f"\n{change.diff()}")


def _data(found: DetectedProject) -> str:
    if found.remote:
        return f"DVC remote '{found.remote.name}' ({found.remote.kind})"
    if not found.remotes:
        return "no DVC remote"
    names = ", ".join(found.remotes)
    return f"no default among the DVC remotes {names}: name one with `dvc remote default`, or as data.remote"


def source(options: ScaffoldOptions, own: Wheel | None) -> str:
    """Say where builds have mlbutler from."""
    if options.agent == LABEL:
        return "installed on the agents"
    if options.requirement:
        return f"installed as {options.requirement}"
    if own is None:
        return f"{__version__} from the package index, as it was installed here"
    size = human_bytes(len(own.content))
    return (
        f"{__version__} came from no package index: each build takes it from {own.path} ({size}), which belongs "
        "in Git; or name with --requirement what pip installs"
    )


def _tell_former(console: Console, found: DetectedProject, former: FormerJenkinsfile) -> None:
    for title, remarks in (("taken over", former.taken), ("not taken over", former.left)):
        if remarks:
            console.line(f"\nOf the Jenkinsfile, which was read and not run, {title}:")
        for remark in remarks:
            where = f"line {remark.line}" if remark.line else ""
            console.line(f"  {where:<8} {remark.text}")
    if found.configured and (names := withheld_variables(found)):
        console.line(f"\nnote      stages get {', '.join(names)} once pass_environment under [reproduce] names them")


def remark_json(remark: Remark) -> dict[str, object]:
    """Return a remark as JSON has it, without what looks like a credential."""
    return {"line": remark.line, "text": Redactor(()).hide(remark.text)}


def diff_to_show(change: FileChange) -> str:
    """Return the diff of a file that somebody may have edited, '' for others."""
    return change.diff() if change.action in (Action.REPLACE, Action.MERGE, Action.CONFLICT) else ""


def print_summary(
    console: Console, changes: Sequence[FileChange], ignored: Sequence[str], options: ScaffoldOptions, *, dry_run: bool
) -> None:
    """Say what became of each file, and what to do next."""
    words = TO_DO if dry_run else DONE
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
        console.line(f"note      Git ignores {', '.join(ignored)}: `git add --force`, since builds get what Git has")
    if any(change.path == INCLUDED for change in changes):
        console.line(f"note      name it in the repository's own {GITLAB_FILE}: `include: [{{local: .../{INCLUDED}}}]`")
    if dry_run:
        console.line("Nothing was written.")
    elif any(change.action is Action.CREATE for change in changes):
        console.line(f"\n{_NEXT.get(options.ci, _NEXT_ELSEWHERE)}")
