"""A container engine that the real `docker` client works with: Docker's daemon, or the same API served by Podman."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BUILD = 1800.0


@dataclass(frozen=True)
class Engine:
    """An engine that answers the client in `environ`. `podman`: it is Podman's."""

    environ: Mapping[str, str]
    podman: bool

    def docker(self, *words: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run the client."""
        done = subprocess.run(
            ["docker", *words], env=self.environ, capture_output=True, text=True, errors="replace", check=False,
            timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"docker {words}: {done.stdout[-5000:]}{done.stderr[-5000:]}"
        return done

    def has(self, image: str) -> bool:
        """Can containers be made of this image, here or once it is pulled?"""
        return any(
            self.docker(*words, image, check=False).returncode == 0 for words in (("image", "inspect"), ("pull",))
        )

    def lacks(self, image: str) -> str:
        """Return why a container of this image cannot be made as Jenkins makes it, or nothing.

        Podman runs `--init` by a program of its own, which its Debian package only recommends.
        """
        name = f"mlbutler-test-{os.getpid()}"
        done = self.docker("create", "--init", "--name", name, image, "true", check=False)
        self.docker("rm", "--force", name, check=False)
        return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]

    def build(self, tag: str, context: Path, dockerfile: str = "Dockerfile", **arguments: str) -> str:
        """Build an image and return its tag."""
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        file = ["-f", str(context / dockerfile)]
        self.docker("build", "-t", tag, *given, *file, str(context), timeout=_BUILD)
        return tag


def copy_clone(folder: Path) -> None:
    """Copy the repository's files into a folder, without what a clone does not have."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0")[:-1]:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


@contextmanager
def found(folder: Path) -> Iterator[Engine | None]:
    """Find an engine; where none runs, Podman serves one in `folder` for as long as this lasts."""
    environ = dict(os.environ)
    if shutil.which("docker") is None:
        yield None
    elif _answers(environ):
        yield Engine(environ, "podman" in _version(environ))
    elif shutil.which("podman") is None or os.geteuid() != 0:
        yield None
    else:
        environ["DOCKER_HOST"] = f"unix://{folder}/engine"
        with subprocess.Popen(
            ["podman", "system", "service", "--time=0", environ["DOCKER_HOST"]],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as service:  # fmt: skip
            try:
                while service.poll() is None and not _answers(environ):
                    time.sleep(0.1)
                yield Engine(environ, podman=True) if service.poll() is None else None
            finally:
                service.terminate()


def _answers(environ: Mapping[str, str]) -> bool:
    return subprocess.run(["docker", "info"], env=environ, capture_output=True, check=False).returncode == 0


def _version(environ: Mapping[str, str]) -> str:
    return subprocess.run(
        ["docker", "version"], env=environ, capture_output=True, text=True, check=False
    ).stdout.lower()
