"""Check the machine that the build is on: its programs, its disks, its graphics cards."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from mlbutler.commands.doctor.examined import MISSING, NOTE, OK, Examined
from mlbutler.console import human_bytes
from mlbutler.frozen import frozen
from mlbutler.secrets import without_credentials
from mlbutler.steps.context import RunContext

_OLDEST_GIT = (2, 30)
_LITTLE_SPACE = 2 * 1024**3
_FEW_FILES = 10_000
_MIB = 1024**2
SHARED_MEMORY = Path("/dev/shm")
_LITTLE_SHARED = 64 * _MIB
"""What Docker gives a container that was not asked for more."""
# It wakes a sleeping driver, which takes some seconds; with a broken one it may hang.
_GPU_TIMEOUT = 30


def git(context: RunContext) -> Examined:
    """Check that git is there, and new enough."""
    text = context.record.environment.git
    numbers = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
    if numbers < _OLDEST_GIT:
        return Examined("git", MISSING, f"{text} is too old", "Install git 2.30 or newer.")
    return Examined("git", OK, text)


def dvc(context: RunContext) -> Examined:
    """Check the DVC that runs the stages."""
    return Examined("dvc", OK, version("dvc"))


# --------------------------------------------------------------------------------------------- disk


def disk(context: RunContext) -> Examined:
    """Check for room where builds write: bytes, and files, of which small objects need many."""
    places = {"work tree": context.root, "cache": context.project.cache_dir}
    if context.mirror is not None:
        places["mirror"] = context.mirror
    disks: dict[int, list[str]] = {}
    found: dict[int, os.statvfs_result] = {}
    for name, path in places.items():
        there = _existing(path)
        device = there.stat().st_dev
        disks.setdefault(device, []).append(name)
        found[device] = os.statvfs(there)
    facts = {name: _free(found[device]) for device, names in disks.items() for name in names}
    text = "; ".join(
        f"{'only ' if _free(found[device]) < _LITTLE_SPACE else ''}{human_bytes(_free(found[device]))} free for "
        f"{', '.join(names)}" for device, names in disks.items()
    )  # fmt: skip
    if little := [name for name, space in facts.items() if space < _LITTLE_SPACE]:
        # What is little on the disk of both is made room for in the cache, which is this project's alone.
        own = any(name != "mirror" for name in little)
        what = "`dvc gc --workspace` removes unused objects." if own else \
            "`mlbutler store prune --limit SIZE` evicts what was used long ago (`mlbutler help mirror`)."  # fmt: skip
        return Examined("disk", NOTE, text, what, facts)
    # File systems without such a limit say that there are none at all.
    few = [names[0] for device, names in disks.items() if found[device].f_files and found[device].f_favail < _FEW_FILES]
    if few:
        remedy = "A file system has room for so many files and no more, however small they are: remove some."
        return Examined("disk", NOTE, f"{text}; few more files fit where the {few[0]} is", remedy, facts)
    return Examined("disk", OK, text, facts=facts)


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _free(found: os.statvfs_result) -> int:
    return found.f_bavail * found.f_frsize


def shm(context: RunContext) -> Examined:
    """Check the shared memory, through which data loaders that work in processes pass their batches."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError:
        return Examined("shm", NOTE, f"there is no {SHARED_MEMORY}")
    size = found.f_frsize * found.f_blocks
    text, facts = f"{human_bytes(size)} of shared memory in {SHARED_MEMORY}", {"size": size}
    if size > _LITTLE_SHARED:
        return Examined("shm", OK, text, facts=facts)
    return Examined(
        "shm", NOTE, f"{text}: data loaders that work in processes die of a bus error when it is full",
        "Give containers more: `mlbutler init --update --shm-size 8g`, or --shm-size in `args` of the Jenkinsfile.",
        facts,
    )  # fmt: skip


def isolation(context: RunContext) -> Examined:
    """Say whether stages, tests and linters can be kept from the rest of the machine here."""
    from mlbutler.isolation import problem

    mode = context.settings.isolation.mode
    why = problem()
    if not why:
        when = {"auto": "on a CI server", "require": "always", "off": "never: isolation.mode is 'off'"}[mode]
        return Examined("isolation", OK, f"bubblewrap works; it is used {when}", facts={"works": True, "mode": mode})
    remedy = (
        "apt-get install bubblewrap, and let this user make namespaces (sysctl kernel.unprivileged_userns_clone=1; on "
        "Ubuntu kernel.apparmor_restrict_unprivileged_userns=0); within a container the container isolates."
    )
    state = MISSING if mode == "require" else NOTE
    return Examined("isolation", state, f"none: {why}", remedy, {"works": False, "mode": mode})


# ---------------------------------------------------------------------------------------------- GPU


@frozen
class InstalledGpu:
    """One graphics card: `memory` in bytes, None where it is not known."""

    name: str
    memory: int | None
    driver: str


def gpu(context: RunContext) -> Examined:
    """List NVIDIA's cards, as their own program names them."""
    program = shutil.which("nvidia-smi", path=context.environ.get("PATH"))
    if program is None:
        return Examined("gpu", NOTE, "none: there is no nvidia-smi")
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            [program, *query], env=without_credentials(context.environ), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", check=False, timeout=_GPU_TIMEOUT,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        said = f"does not start: {error.strerror}" if isinstance(error, OSError) else "does not answer"
        return Examined("gpu", MISSING, f"{program} {said}", "Restart the machine, or reinstall NVIDIA's driver.")
    cards = parse_gpus(done.stdout) if done.returncode == 0 else []
    if not cards:
        # What is wrong comes on standard output.
        said = next(iter((done.stdout or done.stderr).strip().splitlines()), "it names no card")
        return Examined(
            "gpu", MISSING, f"nvidia-smi finds none: {said}",
            "The driver has to fit the kernel, and a container needs --gpus (`mlbutler help jenkins`).",
        )  # fmt: skip
    text = ", ".join(f"{card.name} ({human_bytes(card.memory)})" if card.memory else card.name for card in cards)
    facts = {"cards": [{"name": card.name, "memory": card.memory, "driver": card.driver} for card in cards]}
    return Examined("gpu", OK, f"{text}, driver {cards[0].driver}", facts=facts)


def parse_gpus(text: str) -> list[InstalledGpu]:
    """Parse cards from lines of ``name, memory in MiB, driver``; lines of any other form are skipped."""
    found = []
    for line in text.splitlines():
        # A name may hold a comma, the other two do not; memory that is shared with the machine's is "[N/A]".
        match = re.fullmatch(r"\s*(\S.*?)\s*,\s*(\d+|\[[^],]*\])\s*,\s*([\w.]+)\s*", line)
        if match:
            found.append(InstalledGpu(match[1], int(match[2]) * _MIB if match[2].isdigit() else None, match[3]))
    return found
