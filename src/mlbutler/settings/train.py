"""What can be set of experiments."""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated

from msgspec import Meta

from mlbutler.settings.types import Bytes, Checked, NonNegativeSeconds, Seconds, SettingsSection, Strings, about


def _check_results(paths: tuple[str, ...]) -> tuple[str, ...]:
    for path in paths:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or {"..", ".git", ".dvc", ".mlbutler"} & set(parts):
            raise ValueError(f"'{path}' must be a path inside the project")
    return tuple(PurePosixPath(path).as_posix() for path in paths)


def _check_label(label: str) -> str:
    if not re.fullmatch(r"(?!-)[\w.+@-]+", label, re.ASCII):
        raise ValueError("must be one label, not an expression of several")
    return label


def _check_job(job: str) -> str:
    if {"", ".", ".."} & set(job.strip("/").split("/")):
        raise ValueError("must be a job's full name, such as 'folder/train'")
    return job


class TrainSettings(SettingsSection, frozen=True):
    """Where `mlbutler train` runs experiments, and how."""

    url: Annotated[str | None, about("address of a Jenkins controller; with `job`, experiments run there")] = None
    job: Annotated[
        Annotated[str, Checked(_check_job)] | None,
        about("full name of the job there that runs them, such as 'team/train'"),
    ] = None
    label: Annotated[
        Annotated[str, Checked(_check_label)] | None,
        about("label of the agents that may run them; the job's own if unset"),
    ] = None
    gpus: Annotated[int, Meta(ge=0, le=256, description="GPUs that an experiment needs")] = 0
    jobs: Annotated[int, Meta(ge=1, le=256, description="experiments of one submission that run at once")] = 1
    max_failures: Annotated[
        Annotated[int, Meta(ge=1)] | None, about("failed experiments after which the rest of a submission is cancelled")
    ] = None
    most_queued: Annotated[
        int, Meta(ge=1, le=1000, description="builds of one user that may wait for an agent at once")
    ] = 10
    ask_above: Annotated[Bytes, about("size of data such as '5GB' above which sending it is asked for")] = 1 << 30
    stall: Annotated[
        NonNegativeSeconds,
        about("time without output, change of a metric or GPU use after which one is shown as stalled; 0: never"),
    ] = 1800.0
    checkpoints: Annotated[
        Strings,
        Checked(_check_results),
        about("files and folders that a program goes on from, besides outputs with `persist: true`"),
    ] = ()
    checkpoint_every: Annotated[Seconds, about("how often they are kept while an experiment runs")] = 600.0
    checkpoint_store: Annotated[
        str | None,
        about("folder that all agents of a label mount: what a lost agent kept there, the next one goes on from"),
    ] = None
    gpu_locks: Annotated[
        str | None,
        about(
            "folder for the locks by which a machine's GPUs are given out, one for all containers on it; "
            "/run/lock or /tmp if unset"
        ),
    ] = None

    @property
    def checkpoint_folder(self) -> Path | None:
        """Return the folder of checkpoints on agents, None where none are kept."""
        return Path(self.checkpoint_store).expanduser() if self.checkpoint_store else None

    @property
    def gpu_folder(self) -> Path | None:
        """Return the folder of the GPUs' locks, None for the machine's usual one."""
        return Path(self.gpu_locks).expanduser() if self.gpu_locks else None

    @property
    def on_jenkins(self) -> bool:
        """Return whether there is a job that runs experiments."""
        return bool(self.url and self.job)
