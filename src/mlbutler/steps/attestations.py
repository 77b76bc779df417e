"""Read what is attested of stages, in a commit's Git note, and by whom: anybody who may push can write such a note."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from posixpath import normpath

from mlbutler import dsse, provenance
from mlbutler.commitback.notes import ATTESTATIONS, read_note
from mlbutler.errors import GitError, UsageError
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.parsing import Unreadable
from mlbutler.project.model import Stages
from mlbutler.provenance import Attested
from mlbutler.record import Origin, VerifyResult
from mlbutler.steps.agreed import agreed_section
from mlbutler.steps.context import RunContext


@frozen
class _Signed:
    """One statement: `stage` and `outputs` as the project has them, `signer` '' for a key that is not known."""

    stage: str
    outputs: Mapping[str, str]
    attested: Attested
    signer: str
    keys: tuple[str, ...]


class Attestations:
    """What is attested of this project's commits, with the signers that the settings name.

    Raises:
        UsageError: a signer's key is none.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.signers = _signers(agreed_section(context, "verify", context.settings.verify).signers)

    @cached_property
    def _tip(self) -> str | None:
        git, change = self._context.git.at(self._context.git.toplevel()), self._context.record.change
        if change.ci == "local":
            return git.resolve(ATTESTATIONS)
        return git.fetch_one(change.git_remote, ATTESTATIONS) if change.git_remote is not None else None

    def read_signed(self, commit: str) -> Iterator[_Signed]:
        """Yield what is attested of a commit; what cannot be read is shown."""
        if self._tip is None:
            return
        git = self._context.git.at(self._context.git.toplevel())
        try:
            lines = read_note(git, self._tip, commit)
        except GitError as error:
            self._context.console.line(f"What is attested of {commit[:10]} cannot be read: {error.message}")
            return
        for line in lines:
            try:
                found = self._read(line, commit)
            except Unreadable as error:
                self._context.console.line(f"An attestation of {commit[:10]} cannot be read: {error.problem}")
                continue
            if found is not None:
                yield found

    def _read(self, line: str, commit: str) -> _Signed | None:
        """Return what a line attests, None where that is of another project of the repository.

        Raises:
            Unreadable: the line is no attestation of this commit.
        """
        envelope = dsse.parse_envelope(line)
        attested = provenance.read_statement(envelope.payload)
        if attested.commit != commit:
            raise Unreadable(f"of another commit ({attested.commit[:10]})")
        if not attested.project.startswith(self._context.prefix):
            return None
        folder = attested.project.removeprefix(self._context.prefix)
        outputs = {normpath(f"{folder}{path}"): value for path, value in attested.outputs.items()}
        keys = tuple(id[:12] for id, _ in envelope.signatures)
        return _Signed(attested.stage, outputs, attested, envelope.signer(self.signers), keys)


def with_attestations(context: RunContext, result: VerifyResult) -> VerifyResult:
    """Return the result with what is attested of each stage at this commit, and by whom.

    Raises:
        UsageError: a signer's key is none.
    """
    said: dict[str, dict[str, None]] = {}
    for one in Attestations(context).read_signed(result.revision):
        recorded = {
            out.path: out.recorded for stage in result.stages if stage.name == one.stage for out in stage.outputs
        }
        said.setdefault(one.stage, {})[_sentence(one, recorded)] = None
    stages = tuple(replace(one, attested=tuple(said.get(one.name, ()))) for one in result.stages)
    return replace(result, stages=stages)


def with_signers(context: RunContext, origins: Iterable[Origin], stages: Stages) -> tuple[Origin, ...]:
    """Return the origins, those in an earlier build with whose key attests them; without signers nothing is asked.

    Args:
        stages: as they are recorded where the numbers are.
    """
    found = tuple(origins)
    earlier = dict.fromkeys(one.commit for one in found if one.kind == "earlier build")
    attestations = Attestations(context) if earlier else None
    if attestations is None or not attestations.signers:
        return found
    signed = {commit: [one for one in attestations.read_signed(commit) if one.signer] for commit in earlier}
    return tuple(replace(one, signer=_signer(one, signed.get(one.commit, ()), stages)) for one in found)


def _signer(origin: Origin, signed: Iterable[_Signed], stages: Stages) -> str:
    recorded = {path: owner[1].recorded for path in origin.files if (owner := stages.owner(path)) is not None}
    wanted = {path: hash.value for path, hash in recorded.items() if hash is not None}
    return next(
        (
            one.signer
            for one in signed
            if one.stage == origin.stage and one.attested.reproduced and wanted
            and all(one.outputs.get(path) == value for path, value in wanted.items())
        ),
        "",
    )  # fmt: skip


def _sentence(one: _Signed, recorded: Mapping[str, str]) -> str:
    if not one.signer:
        return f"attested with a key that verify.signers does not name ({', '.join(one.keys) or 'none'})"
    if other := [path for path, value in recorded.items() if one.outputs.get(path) != value]:
        return f"{one.signer} attested something else: {first_few(other)}"
    how = "reproduced, and attested by" if one.attested.reproduced else "attested by"
    return f"{how} {one.signer} ({one.attested.builder}, {one.attested.when})"


def _signers(lines: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for line in lines:
        name, _, key = line.strip().partition(" ")
        if not key:
            raise UsageError("verify.signers has a line without a key.", "Write 'NAME KEY', such as 'ci MCowBQ...'.")
        found[name] = key.strip()
    return found
