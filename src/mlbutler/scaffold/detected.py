"""What was found in a project, as data: the only input of what is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlbutler.scaffold.carried import Carried


@dataclass(frozen=True)
class Tool:
    """A test runner or a linter that the project uses.

    Attributes:
        command: shell text that runs it. junit: glob of the JUnit file that this command writes, '' for none.
        packages: what must be installed for it, in the words of the language's package manager.
        warnings: the parser of Jenkins' Warnings plugin that reads its output, '' for none.
    """

    name: str
    command: str
    junit: str = ""
    packages: tuple[str, ...] = ()
    warnings: str = ""


@dataclass(frozen=True)
class ContainerImage:
    """What the project's code runs in.

    Attributes:
        language: ``python``, ``conda``, ``r``, ``julia``, ``node`` or ``shell``.
        base: the image that it starts from.
        files: dependency files, relative to the project's root; nothing else is copied into the image.
        install: shell commands that install what `files` list; they run where the files are. before: those before them.
        add: a shell command that installs further packages, with ``{}`` for their names.
        system: packages of Debian. variables: of the image's environment.
        python: a Python 3.11 or newer that the image has after `system`, for mlbutler's own environment.
        others: files of further languages, which the image does not cater for.
    """

    language: str
    base: str
    files: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    add: str = ""
    system: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    python: str = "python3 -m venv"
    others: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remote:
    """The shared DVC remote. `kind`: ``http``, ``s3``, ``ssh``, ``gs``, ``azure``, ``local`` or ``other``."""

    name: str
    kind: str


@dataclass(frozen=True)
class DetectedProject:
    """A DVC project as `mlbutler init` sees it.

    Attributes:
        name: of the repository's folder or address.
        folder: the project's path from the repository's root, '' when it is the root.
        forge: the kind of forge that a run publishes to, as `forge.kind` has it; '' for none.
        ssh: is Git reached over SSH. target: the branch that pull requests go to, '' when unknown.
        remotes: names of all DVC remotes; with several and no default one, `remote` is None.
        missing: packages of `tests` and `linters` that no dependency file names.
        gated: a number that a gate may name, as ``metrics.json:accuracy``, '' where there are no metrics.
        predictions: an output that looks like a table of predictions, '' for none. report: where reports are written.
        configured: are there settings of mlbutler already.
        commands: of the stages. local_remotes: name and folder of DVC remotes on the agent.
        python_path: folders from the project's root, '' for itself, that its programs import from.
        tracker: do runs go to an MLflow server that wants a user name and a password.
        carried: what its former Jenkinsfile gave builds.
    """

    name: str
    folder: str = ""
    forge: str = ""
    ssh: bool = False
    target: str = ""
    remote: Remote | None = None
    remotes: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    gated: str = ""
    predictions: str = ""
    tests: tuple[Tool, ...] = ()
    linters: tuple[Tool, ...] = ()
    missing: tuple[str, ...] = ()
    image: ContainerImage = field(default_factory=lambda: ContainerImage("shell", "debian:12-slim"))
    junit: tuple[str, ...] = ()
    report: str = ".mlbutler/report"
    configured: bool = False
    commands: tuple[str, ...] = ()
    local_remotes: tuple[tuple[str, str], ...] = ()
    python_path: tuple[str, ...] = ()
    tracker: bool = False
    carried: Carried = field(default_factory=Carried)
