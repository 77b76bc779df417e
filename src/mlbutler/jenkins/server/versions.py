"""Which Jenkins, remoting and Java work together, and which versions a WAR, its plugins and a Java have."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from mlbutler.errors import UsageError

_REMOTING = re.compile(r"WEB-INF/lib/remoting-[^/]+\.jar")
_LONGEST = 60.0  # seconds for `java -version`; it takes less than one


@dataclass(frozen=True)
class Line:
    """Describe a range of Jenkins versions, up to the first one of the next range.

    Attributes:
        lts: the first version with long-term support. weekly: the second number of the first weekly version,
            such as 419 of 2.419.
        java: versions that controller and agents run with.
    """

    lts: str
    weekly: int
    java: tuple[int, ...]


# https://www.jenkins.io/doc/book/platform-information/support-policy-java/, read in November 2026. Before the first
# line pipelines lack what the generated Jenkinsfile uses: `retry` with conditions.
LINES = (
    Line("2.361.1", 357, (11, 17)),
    Line("2.426.1", 419, (11, 17, 21)),
    Line("2.479.1", 463, (17, 21)),
    Line("2.541.1", 534, (17, 21, 25)),
    Line("2.555.1", 545, (21, 25)),
)
NAMES_ITS_CONTROLLER = 3186
"""The first remoting whose ``agent.jar`` takes ``-url`` and ``-name`` itself."""


@dataclass(frozen=True)
class War:
    """Hold the versions that a ``jenkins.war`` contains.

    Attributes:
        jenkins: its version, as ``java -jar jenkins.war --version`` prints it.
        remoting: the version of `agent`. agent: the jar that an agent is started with.
    """

    jenkins: str
    remoting: str
    agent: bytes

    @property
    def line(self) -> Line | None:
        """Return the line that it belongs to, None for one before all of them."""
        return next((line for line in reversed(LINES) if numbers(self.jenkins) >= (2, line.weekly)), None)


def read_war(path: Path) -> War:
    """Return the versions of a WAR.

    Raises:
        UsageError: there is no such file, or it is no Jenkins.
    """
    try:
        with ZipFile(path) as war:
            jenkins = _manifest(war)["Jenkins-Version"]
            (name,) = [name for name in war.namelist() if _REMOTING.fullmatch(name)]
            agent = war.read(name)
        with ZipFile(io.BytesIO(agent)) as jar:
            remoting = _manifest(jar)["Version"]
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {path}.", _DOWNLOAD) from error
    except (OSError, BadZipFile, KeyError, ValueError) as error:
        raise UsageError(f"{path} is not a whole jenkins.war.", _DOWNLOAD) from error
    return War(jenkins, remoting, agent)


_DOWNLOAD = "Download jenkins.war from https://get.jenkins.io/war-stable/"


def must_fit(war: War, java: int, program: str, plugins: Iterable[Path]) -> None:
    """Raise where Jenkins, Java and plugins do not work together.

    Raises:
        UsageError: this Jenkins is too old, or does not run with this Java; or a plugin wants a newer Jenkins, or is no
            plugin.
    """
    line = war.line
    if line is None:
        raise UsageError(f"Jenkins {war.jenkins} is too old: {LINES[0].lts} or newer is supported.", _DOWNLOAD)
    if java not in line.java:
        *others, last = map(str, line.java)
        wanted = f"{', '.join(others)} or {last}"
        raise UsageError(
            f"Jenkins {war.jenkins} does not run with Java {java} ({program}).",
            f"It supports Java {wanted}: install one and name it, --java PATH",
        )
    wants = {path.stem: _read_required_jenkins(path) for path in plugins}
    if newer := [f"{name} ({wanted})" for name, wanted in wants.items() if numbers(wanted) > numbers(war.jenkins)]:
        raise UsageError(
            f"Plugins want a newer Jenkins than {war.jenkins}: {', '.join(newer)}.",
            "Take a newer jenkins.war, or plugins for this one: Jenkins' plugin installation manager, given --war, "
            "chooses them.",
        )


def java_version(program: str) -> int:
    """Return the feature version of a Java, such as 21.

    Raises:
        UsageError: it does not say, or does not run.
    """
    try:
        done = subprocess.run(
            [program, "-version"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            timeout=_LONGEST, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"'{program}' cannot be run: {error}", "Name another Java: --java PATH") from error
    found = re.search(r'^\S+ version "(?:1\.)?(\d+)', done.stdout + done.stderr, re.MULTILINE)
    if found is None:
        raise UsageError(f"'{program} -version' names no version.", "Name a Java: --java PATH")
    return int(found[1])


def agent_arguments(war: War, jar: Path, url: str, name: str, secret: Path, work: Path) -> list[str]:
    """Return Java's arguments for an agent that connects by WebSocket: the way that its remoting knows.

    Args:
        secret: a file, which keeps the agent's secret off the list of processes.
    """
    common = ["-url", url, "-webSocket", "-workDir", str(work)]
    if numbers(war.remoting) >= (NAMES_ITS_CONTROLLER,):
        return ["-jar", str(jar), *common, "-name", name, "-secret", f"@{secret}"]
    return ["-cp", str(jar), "hudson.remoting.jnlp.Main", "-headless", *common, f"@{secret}", name]


def _read_required_jenkins(plugin: Path) -> str:
    """Return the oldest Jenkins that a plugin works with."""
    try:
        with ZipFile(plugin) as archive:
            manifest = _manifest(archive)
    except (OSError, BadZipFile, KeyError) as error:
        raise UsageError(f"{plugin} is not a whole plugin.", "Download it again.") from error
    return manifest.get("Jenkins-Version") or manifest.get("Hudson-Version", "")


def _manifest(archive: zipfile.ZipFile) -> dict[str, str]:
    text = archive.read("META-INF/MANIFEST.MF").decode(errors="replace").replace("\r\n", "\n").replace("\n ", "")
    main = text.partition("\n\n")[0]  # sections of single files follow
    return {key: value for key, separator, value in (line.partition(": ") for line in main.splitlines()) if separator}


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with: ``2.426.2`` as (2, 426, 2), ``3160.vd76b`` as (3160,)."""
    found = re.match(r"\d+(?:\.\d+)*(?![^.\s-])", version)
    return tuple(map(int, found[0].split("."))) if found else ()
