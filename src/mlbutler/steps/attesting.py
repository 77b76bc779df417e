"""Attest what a build made, or what was verified, by a signed statement for each stage.

It is written after the project's code has ended. What it says of inputs, command and outputs is read from Git's
objects, checked against their ids; that the outputs are so, from what mlbutler hashed, or
DVC when the command had ended.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlbutler import atomic, dsse, provenance
from mlbutler.commitback.build import Author
from mlbutler.commitback.notes import ATTESTATIONS, add_note, push_note
from mlbutler.errors import MlbutlerError, OutsideError
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.git import Git, verified
from mlbutler.parsing import Unreadable, decoded, parse_yaml
from mlbutler.record import StageRun, StageVerified, Verification, VerifyResult
from mlbutler.steps.context import RunContext
from mlbutler.steps.isolated import is_required, isolate_code
from mlbutler.variables import SIGNING_KEY

_LOCKS = ("requirements.lock", "requirements.txt", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pixi.lock",
          "conda-lock.yml", "environment.yml", "renv.lock", "Manifest.toml")  # fmt: skip


@frozen
class _LockEntry:
    """A stage's entry in dvc.lock at a commit, its paths written from `folder`, that of dvc.yaml (``sub/`` or '')."""

    content: Mapping[str, Any]
    folder: str
    written: str
    """Its fingerprint, as it stands there."""


def signing_key(context: RunContext) -> str:
    """Return the private key, '' without one; a fork's run has none.

    Raises:
        UsageError: it is no key.
    """
    key = context.environ.get(SIGNING_KEY, "") if context.trusted else ""
    if key:
        dsse.public_key(key)
    return key


def attest(context: RunContext, result: VerifyResult, key: str, file: Path | None) -> None:
    """Attest the stages that made what is recorded: in a file, and, where there is a key, in the commit's Git note.

    Args:
        key: the private key, '' for none.

    Raises:
        OutsideError: the file cannot be written.
    """
    isolation = _isolation(context)
    identical = [stage for stage in result.stages if stage.state is Verification.IDENTICAL]
    made, problems = _build_statements(
        identical, lambda stage: _statement_of_verified(context, result.revision, stage, isolation)
    )
    for problem in problems:
        context.console.line(f"not attested: {problem}")
    lines = [dsse.sign(one, key) if key else one.decode() for one in made.values()]
    if file is not None:
        try:
            atomic.write(file, "".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise OutsideError(f"{file} cannot be written: {error.strerror or error}.", "Name another one.") from error
        how = "signed" if key else f"not signed: {SIGNING_KEY} is not set"
        context.console.line(f"attested in {file}, {how}: {first_few(list(made))}")
    if key and lines and (why := _keep(context, result.revision, lines)):
        context.console.line(f"What was attested is not kept as a note: {why}")


def attest_reproduced(context: RunContext, commit: str) -> tuple[tuple[str, ...], str]:
    """Attest, at the commit that holds the results, the stages that ran in this build.

    Return their names, and what to add to the sentence on the commit. That something cannot be attested is said there,
    and is no reason to fail: the results are on the branch.
    """
    reproduce = context.record.reproduce
    ran = [run for run in reproduce.stages if run.outcome == "ran"] if reproduce is not None else []
    try:
        key = signing_key(context)
        if not key or not ran:
            return (), ""
        if why := _doubt(context):
            return (), f"; not attested: {why}"
        isolation = reproduce.isolation if reproduce is not None else ""
        made, problems = _build_statements(ran, lambda run: _statement_of_run(context, commit, run, isolation))
        lines = [dsse.sign(one, key) for one in made.values()]
        why = _keep(context, commit, lines) if lines else ""
    except MlbutlerError as error:
        return (), f"; not attested: {error.message}"
    if why:
        return (), f"; not attested: {why}"
    said = f"; attested: {first_few(list(made))}" if made else ""
    return tuple(made), said + "".join(f"; not attested: {problem}" for problem in problems)


def _doubt(context: RunContext) -> str:
    """Return why this build's word on its stages is not to be signed, '' where it is.

    What an earlier command found is in the record, which code that is not isolated can write; so what the record says
    of isolation proves nothing, unless no command of the build may run the code without it.
    """
    reproduce = context.record.reproduce
    if "reproduce" in context.progress.own_steps:  # by this process, which remembers it
        return ""
    if not is_required(context):
        return "the stages ran in an earlier command, whose word counts only with isolation.mode = 'require'"
    with isolate_code(context) as here:
        if reproduce is not None and here.isolates and reproduce.isolation == here.words:
            return ""
    return "the stages ran in an earlier command and not isolated, so that their code could write what is known of them"


def _isolation(context: RunContext) -> str:
    with isolate_code(context) as here:
        return here.words


# ------------------------------------------------------------------------------------- statements


def _build_statements(stages: Sequence[Any], statement: Callable[[Any], bytes]) -> tuple[dict[str, bytes], list[str]]:
    """Return stage -> statement, and of the others why there is none."""
    made, problems = {}, []
    for stage in stages:
        try:
            made[stage.name] = statement(stage)
        except MlbutlerError as error:
            problems.append(f"{stage.name} ({error.problem if isinstance(error, Unreadable) else error.message})")
    return made, problems


def _statement_of_verified(context: RunContext, commit: str, stage: StageVerified, isolation: str) -> bytes:
    entry = _entry(context.git, context.prefix, commit, stage.name, stage.directory)
    recorded = _outputs(entry)
    for out in stage.outputs:
        if recorded.get(out.path) != out.made:
            raise Unreadable(f"dvc.lock at {commit[:10]} has another {out.path} than was verified")
    return _statement(context, commit, stage.name, entry, {out.path: out.sha256 for out in stage.outputs}, isolation)


def _statement_of_run(context: RunContext, commit: str, run: StageRun, isolation: str) -> bytes:
    stage = next((one for one in context.project.stages.pipeline() if one.name == run.name), None)
    entry = _entry(context.git, context.prefix, commit, run.name, stage.directory if stage is not None else "")
    if not run.entry or entry.written != run.entry:
        raise Unreadable(f"dvc.lock at {commit[:10]} has something else of it than its run made")
    sha256 = {path: provenance.sha256_of(context.root / path, md5) for path, md5 in _outputs(entry).items()}
    return _statement(context, commit, run.name, entry, sha256, isolation, context.record.change.checkout)


def _statement(
    context: RunContext,
    commit: str,
    stage: str,
    entry: _LockEntry,
    sha256: Mapping[str, str],
    isolation: str,
    reproduced: str = "",
) -> bytes:
    """Return the statement; `sha256`: path from the project's root -> that of the file, '' where it is not known."""
    git, change, environment = context.git.at(context.git.toplevel()), context.record.change, context.record.environment
    locks = {name: hashlib.sha256(content).hexdigest() for name in _LOCKS
             if (content := verified.file_at(git, commit, f"{context.prefix}{name}")) is not None}  # fmt: skip
    versions = {name: getattr(environment, name) for name in ("mlbutler", "dvc", "git", "python")}
    return provenance.statement(
        entry.content, commit=commit, repository=change.repository or "", project=f"{context.prefix}{entry.folder}",
        stage=stage, sha256={posixpath.relpath(path, entry.folder or "."): value for path, value in sha256.items()},
        locks=locks, reproduced=reproduced,
        run={
            "builder": f"urn:mlbutler:{change.ci}", "versions": versions, "isolation": isolation,
            "host": environment.host, "platform": environment.platform, "build": change.build_url or "",
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )  # fmt: skip


def _entry(git: Git, prefix: str, commit: str, name: str, directory: str) -> _LockEntry:
    """Return the stage's entry in dvc.lock, from objects that are what their ids say.

    Args:
        directory: where the command runs, from the project's root; dvc.lock has paths from there.
    """
    file, _, key = name.rpartition(":")
    lock = f"{(file or 'dvc.yaml').rpartition('.')[0]}.lock"
    content = verified.file_at(git.at(git.toplevel()), commit, f"{prefix}{lock}")
    found = parse_yaml(decoded(content, lock), lock) if content is not None else {}
    stages = found.get("stages") if isinstance(found, Mapping) else None
    entry = stages.get(key) if isinstance(stages, Mapping) else None
    if not isinstance(entry, Mapping):
        raise Unreadable(f"{lock} at {commit[:10]} has no stage '{key}'")
    folder = lock.rpartition("/")[0]

    def relocate(item: Any) -> Any:
        path = item.get("path") if isinstance(item, Mapping) else None
        if not isinstance(path, str) or "://" in path or path.startswith("/"):
            return item
        return {**item, "path": posixpath.relpath(posixpath.join(directory, path), folder or ".")}

    written = provenance.fingerprint(entry)
    lists = {
        part: [relocate(item) for item in entry[part]] for part in ("deps", "outs") if isinstance(entry.get(part), list)
    }
    return _LockEntry({**entry, **lists}, f"{folder}/" if folder else "", written)


def _outputs(entry: _LockEntry) -> dict[str, str]:
    """Map path from the project's root -> hash."""
    outs = [out for out in entry.content.get("outs") or () if isinstance(out, Mapping)]
    return {posixpath.normpath(f"{entry.folder}{out.get('path')}"): str(out.get("md5", "")) for out in outs}


def _keep(context: RunContext, commit: str, lines: Sequence[str]) -> str:
    """Append them to the commit's note; return why they could not be kept, '' where they are."""
    git, change = context.git.at(context.git.toplevel()), context.record.change
    try:
        author = Author.parse(context.settings.commit.author)
        if change.ci == "local":
            add_note(git, commit, lines, author, ATTESTATIONS)
        elif change.git_remote is not None:
            push_note(git, change.git_remote, commit, lines, author, ATTESTATIONS)
        else:
            return "no Git remote is known"
    except MlbutlerError as error:
        return error.message
    return ""
