"""What the user asked `mlbutler init` for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlbutler.errors import UsageError

JENKINS, GITHUB, GITLAB = "jenkins", "github-actions", "gitlab-ci"
DOCKER, LABEL, KUBERNETES = "docker", "label", "kubernetes"
MIRROR = "/mirror"
# Docker Pipeline parts its arguments at blanks, and Docker a volume's two paths at a colon.
_MOUNTABLE = re.compile(r"/[\w./@%+=~-]*")
_IMAGE = re.compile(r"\w[\w./:@-]*")
_SHM = re.compile(r"([1-9]\d*)([bkmg]?)", re.IGNORECASE)


@dataclass(frozen=True)
class ScaffoldOptions:
    """What the user asked `mlbutler init` for.

    Attributes:
        ci: the CI server: ``jenkins``, ``github-actions`` or ``gitlab-ci``.
        agent: ``docker``, ``label`` or ``kubernetes``. label: of the agents.
        mirror: the directory on the agent that builds share; '' leaves it to the agent's own environment.
        image: for Kubernetes and GitLab, the image that builds run in. gate_as: ``fail`` or ``unstable``.
        requirement: what pip installs in the image; '' for this version of mlbutler, from the package index or as a
            wheel in the build context.
        gpu: give containers the agent's graphics cards. shm_size: of their ``/dev/shm`` in Docker's words, such as
            ``8g``; '' leaves it at 64 MB. train: a second Jenkinsfile, for experiments. commands: a file for the job or
            workflow that does what comments ask for.
    """

    agent: str = DOCKER
    label: str = "docker"
    mirror: str = ""
    image: str = ""
    gate_as: str = "fail"
    requirement: str = ""
    gpu: bool = False
    shm_size: str = ""
    train: bool = False
    commands: bool = False
    ci: str = JENKINS

    def __post_init__(self) -> None:
        """Refuse what cannot stand where it is written.

        Raises:
            UsageError: the mirror is no path, the image no name, or the shared memory no size.
        """
        if self.mirror and not _MOUNTABLE.fullmatch(self.mirror):
            raise UsageError(
                f"The mirror's directory is not an absolute path that Docker can mount: {self.mirror}",
                "Without blanks, quotes and colons, such as --mirror /mirror.",
            )
        if self.image and not _IMAGE.fullmatch(self.image):
            raise UsageError(
                f"'{self.image}' is not the name of an image.", "Such as: --image registry.example.org/name:1"
            )
        if self.shm_size and not _SHM.fullmatch(self.shm_size):
            raise UsageError(f"'{self.shm_size}' is not a size of memory.", "Such as: --shm-size 8g")
        if self.ci not in (JENKINS, GITHUB, GITLAB):
            raise UsageError(f"There is no CI server '{self.ci}'.", f"One of: {JENKINS}, {GITHUB}, {GITLAB}.")
        if self.ci != JENKINS:
            self._check_without_jenkins()

    def _check_without_jenkins(self) -> None:
        if self.agent == KUBERNETES:
            raise UsageError(
                f"--agent kubernetes is for Jenkins, not for {self.ci}.",
                "Name machines of your own by their label: --agent label:NAME",
            )
        if not re.fullmatch(r"[\w.-]+", self.label):
            raise UsageError(f"'{self.label}' is not a single label.", f"{self.ci} takes one: --agent label:gpu")
        if self.ci == GITHUB and self.image:
            raise UsageError(
                "With GitHub Actions the steps run on the machine itself, in no image.",
                "Name machines of your own by their label: --agent label:NAME",
            )
        if self.train:
            raise UsageError(f"--train is for Jenkins, not for {self.ci}.", "`mlbutler train` runs experiments here.")
        if self.commands and self.ci == GITLAB:
            raise UsageError("--commands: a comment starts no pipeline of GitLab's.", "See `mlbutler help comments`.")
        if self.gpu or self.shm_size:
            raise UsageError(
                f"--gpu and --shm-size are for Jenkins' containers, not for {self.ci}.",
                "Name machines that have graphics cards by their label: --agent label:NAME",
            )


def parse_agent(text: str) -> tuple[str, str]:
    """Return (kind, label) of ``docker``, ``label:NAME`` or ``kubernetes``.

    Raises:
        UsageError: it is none of these, or no expression of labels.
    """
    kind, _, label = text.partition(":")
    if kind not in (DOCKER, LABEL, KUBERNETES) or (kind == LABEL) != bool(label.strip()):
        raise UsageError(f"There is no agent '{text}'.", "One of: docker, label:NAME, kubernetes.")
    if label and not re.fullmatch(r"[\w.@&|!()\" -]+", label):
        raise UsageError(f"'{label}' is not an expression of labels.", "Such as: --agent label:gpu")
    return kind, label.strip() or "docker"


def ignore_file(dockerfile: str) -> str:
    """Return the file that says what Docker's build is given."""
    return ".dockerignore" if dockerfile == "Dockerfile" else f"{dockerfile}.dockerignore"
