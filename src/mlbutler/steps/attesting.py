"""Attest what was verified, by a signed statement for each stage that made what dvc.lock records; read such statements.

It is written after the project's code has ended. What it says of inputs, command and outputs is read from Git's
objects, held against their ids; that the outputs are so, from what mlbutler hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlbutler import atomic, dsse, provenance
from mlbutler.commitback.build import Author
from mlbutler.commitback.notes import ATTESTATIONS, add_note, push_note, read_note
from mlbutler.errors import MlbutlerError, OutsideError, UsageError
from mlbutler.few import few
from mlbutler.git import Git, verified
from mlbutler.parsing import Unreadable, decoded, parse_yaml
from mlbutler.record import StageVerified, Verification, VerifyResult
from mlbutler.steps.agreed import agreed
from mlbutler.steps.context import RunContext
from mlbutler.variables import SIGNING_KEY

_LOCKS = ("requirements.lock", "requirements.txt", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pixi.lock",
          "conda-lock.yml", "environment.yml", "renv.lock", "Manifest.toml")  # fmt: skip
_LARGEST_NOTE = 4 << 20


def signing_key(work: RunContext) -> str:
    """Return the private key, '' without one; a fork's run has none.

    Raises:
        UsageError: it is no key.
    """
    key = work.environ.get(SIGNING_KEY, "") if work.trusted else ""
    if key:
        dsse.public_key(key)
    return key


def attest(work: RunContext, result: VerifyResult, key: str, file: Path | None, isolation: str) -> None:
    """Attest the stages that made what is recorded: in a file, and, where there is a key, in the commit's Git note.

    Args:
        key: the private key, '' for none. isolation: how the project's code was kept from the machine, in words.

    Raises:
        OutsideError: the file cannot be written. GitError: the clone's objects are not what their ids say.
    """
    made = [_statement(work, result.revision, stage, isolation) for stage in _identical(result)]
    lines = [dsse.signed(one, key) if key else one.decode() for one in made]
    if file is not None:
        try:
            atomic.write(file, "".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise OutsideError(f"{file} cannot be written: {error.strerror or error}.", "Name another one.") from error
        how = "signed" if key else f"not signed: {SIGNING_KEY} is not set"
        work.console.line(f"attested in {file}, {how}: {few([stage.name for stage in _identical(result)])}")
    if key:
        _keep(work, result.revision, lines)


def _identical(result: VerifyResult) -> list[StageVerified]:
    return [stage for stage in result.stages if stage.state is Verification.IDENTICAL]


def _statement(work: RunContext, commit: str, stage: StageVerified, isolation: str) -> bytes:
    git = work.git.at(work.git.toplevel())
    entry, folder = _entry(git, commit, work.prefix, stage.name)
    recorded = {str(out.get("path")): str(out.get("md5", "")) for out in entry.get("outs") or ()}
    sha256: dict[str, str] = {}
    for out in stage.outputs:
        path = out.path.removeprefix(folder)
        if recorded.get(path) != out.made:
            raise Unreadable(f"dvc.lock at {commit[:10]} has another {out.path} than was verified")
        sha256 |= {path: out.sha256} if out.sha256 else {}
    change, environment = work.record.change, work.record.environment
    locks = {name: hashlib.sha256(content).hexdigest() for name in _LOCKS
             if (content := verified.file(git, commit, f"{work.prefix}{name}")) is not None}  # fmt: skip
    versions = {name: getattr(environment, name) for name in ("mlbutler", "dvc", "git", "python")}
    return provenance.statement(
        entry, commit=commit, repository=change.repository or "", project=f"{work.prefix}{folder}", stage=stage.name,
        sha256=sha256, locks=locks,
        run={
            "builder": f"urn:mlbutler:{change.ci}", "versions": versions, "isolation": isolation,
            "host": environment.host, "platform": environment.platform, "build": change.build_url or "",
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )  # fmt: skip


def _entry(git: Git, commit: str, prefix: str, name: str) -> tuple[Mapping[str, Any], str]:
    """Return the stage's entry in dvc.lock, from objects that are what their ids say, and its folder in the project."""
    file, _, key = name.rpartition(":")
    lock = f"{(file or 'dvc.yaml').rpartition('.')[0]}.lock"
    content = verified.file(git, commit, f"{prefix}{lock}")
    found = parse_yaml(decoded(content, lock), lock) if content is not None else {}
    entry = found.get("stages", {}).get(key) if isinstance(found, Mapping) else None
    if not isinstance(entry, Mapping):
        raise Unreadable(f"{lock} at {commit[:10]} has no stage '{key}'")
    folder = lock.rpartition("/")[0]
    return entry, f"{folder}/" if folder else ""


def _keep(work: RunContext, commit: str, lines: list[str]) -> None:
    """Append them to the commit's note; that they cannot be kept is shown, and is no reason to fail."""
    git, change = work.git.at(work.git.toplevel()), work.record.change
    try:
        author = Author.parse(work.settings.commit.author)
        for line in lines:
            if change.ci == "local":
                add_note(git, commit, line, author, ATTESTATIONS)
            elif change.git_remote is not None:
                push_note(git, change.git_remote, commit, line, author, ATTESTATIONS)
    except MlbutlerError as error:
        work.console.line(f"What was attested is not kept as a note: {error.message}")


# ------------------------------------------------------------------------------------- reading


def with_attestations(work: RunContext, result: VerifyResult) -> VerifyResult:
    """Return the result with what is attested of each stage at this commit, and by whom.

    Raises:
        UsageError: a signer's key is none.
    """
    signers = _signers(agreed(work, "verify", work.settings.verify).signers)
    said: dict[str, dict[str, None]] = {}
    for line in _lines(work, result.revision):
        try:
            stage, sentence = _sentence(line, work, result, signers)
        except Unreadable as error:
            work.console.line(f"An attestation of {result.revision[:10]} cannot be read: {error.problem}")
            continue
        said.setdefault(stage, {})[sentence] = None
    stages = tuple(replace(one, attested=tuple(said.get(one.name, ()))) for one in result.stages)
    return replace(result, stages=stages)


def _signers(lines: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for line in lines:
        name, _, key = line.strip().partition(" ")
        if not key:
            raise UsageError("verify.signers has a line without a key.", "Write 'NAME KEY', such as 'ci MCowBQ...'.")
        found[name] = key.strip()
    return found


def _lines(work: RunContext, commit: str) -> Iterator[str]:
    git, change = work.git.at(work.git.toplevel()), work.record.change
    if change.ci == "local":
        tip = git.resolve(ATTESTATIONS)
    else:
        tip = git.fetch_one(change.git_remote, ATTESTATIONS) if change.git_remote is not None else None
    if tip is not None:
        yield from read_note(git, tip, commit, _LARGEST_NOTE)


def _sentence(line: str, work: RunContext, result: VerifyResult, signers: Mapping[str, str]) -> tuple[str, str]:
    """Return the stage, and what is to be said of it.

    Raises:
        Unreadable: the line is no attestation of this commit.
    """
    envelope = dsse.opened(line)
    attested = provenance.read(envelope.payload)
    if attested.commit != result.revision:
        raise Unreadable(f"of another commit ({attested.commit[:10]})")
    if not attested.project.startswith(work.prefix):
        return "", ""
    signer = envelope.signer(signers)
    if not signer:
        ids = ", ".join(id[:12] for id, _ in envelope.signatures) or "none"
        return attested.stage, f"attested with a key that verify.signers does not name ({ids})"
    folder = attested.project.removeprefix(work.prefix)
    said = {f"{folder}{path}": value for path, value in attested.outputs.items()}
    outputs = next((one.outputs for one in result.stages if one.name == attested.stage), ())
    if other := [out.path for out in outputs if said.get(out.path) != out.recorded]:
        return attested.stage, f"{signer} attested something else: {few(other)}"
    return attested.stage, f"attested by {signer} ({attested.builder}, {attested.when})"
