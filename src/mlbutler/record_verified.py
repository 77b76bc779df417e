"""What became of stages that were run again in a clean clone: a part of the record."""

from __future__ import annotations

from enum import StrEnum

from mlbutler.frozen import frozen_by_name


class Verification(StrEnum):
    """What became of a stage that was run again in a clean clone, from the inputs that dvc.lock records.

    `DIFFERENT`: it made the same each time, and not what dvc.lock records. `UNSTABLE`: it made something else each
    time. `STALE`: dvc.lock does not record this commit's command, code, parameters or data. `LACKING`: an input is on
    no remote. `NOT_VERIFIED`: it cannot be run for this; the reason says why.
    """

    IDENTICAL = "identical"
    WITHIN_TOLERANCE = "within tolerance"
    DIFFERENT = "different"
    UNSTABLE = "differs each time"
    FAILED = "failed"
    STALE = "stale"
    LACKING = "inputs missing"
    NOT_VERIFIED = "not verified"

    @property
    def is_reproduced(self) -> bool:
        """Tell whether the stage makes what dvc.lock records."""
        return self in (Verification.IDENTICAL, Verification.WITHIN_TOLERANCE)

    @property
    def is_wrong(self) -> bool:
        """Tell whether what dvc.lock records could not be made."""
        return not self.is_reproduced and self is not Verification.NOT_VERIFIED


@frozen_by_name
class OutputVerified:
    """One output of a stage that was run again: the hashes that dvc.lock has and that were made.

    `same`: it is the same, for metrics within the tolerance. `difference`: the first one, in words. `sha256`: of a file
    that was made as it is recorded, where it is attested.
    """

    path: str
    same: bool
    recorded: str = ""
    made: str = ""
    difference: str = ""
    sha256: str = ""


@frozen_by_name
class StageVerified:
    """One stage that was verified. `reason`: one sentence; `causes`: what usually leads to that, as far as it shows.

    `runs`: how many times its command ran. `seconds`: of them all. `tail`: the log's last lines when it failed.
    `attested`: who attested it before, a sentence each. `directory`: where its command runs, from the project's root.
    """

    name: str
    state: Verification
    reason: str = ""
    causes: tuple[str, ...] = ()
    outputs: tuple[OutputVerified, ...] = ()
    runs: int = 0
    seconds: float = 0.0
    tail: tuple[str, ...] = ()
    attested: tuple[str, ...] = ()
    directory: str = ""
