"""A machine with GPUs, as a played nvidia-smi tells of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROGRAM = """#!/bin/sh
echo "$*" >> "{folder}/asked"
case "$1" in
-L) cat "{folder}/listing" ;;
--query-gpu=*) cat "{folder}/uses" ;;
--query-compute-apps=*) cat "{folder}/apps" ;;
*) exit 2 ;;
esac
if [ -e "{folder}/broken" ]; then cat "{folder}/broken"; exit 9; fi
"""


def uuid(number: int) -> str:
    """Return the UUID of a played GPU."""
    return f"GPU-{number:08x}-aaaa-bbbb-cccc-{number:012x}"


class PlayedGpus:
    """A folder with a program `nvidia-smi`, and what it says."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir(parents=True)
        self.locks = folder / "locks"
        self.locks.mkdir()
        self.listing("".join(f"GPU {n}: NVIDIA A100-SXM4-40GB (UUID: {uuid(n)})\n" for n in range(count)))
        self.uses("".join(f"{uuid(n)}, 0, 3\n" for n in range(count)))
        self.apps("")
        program = self.bin / "nvidia-smi"
        program.write_text(PROGRAM.format(folder=folder))
        program.chmod(0o755)

    def environ(self, **more: str) -> dict[str, str]:
        """Return an environment in which it is found."""
        path = (str(self.bin), str(Path(sys.executable).parent), os.environ["PATH"])
        return {"PATH": os.pathsep.join(path), **more}

    def listing(self, text: str) -> None:
        """Say what `nvidia-smi -L` answers."""
        (self.folder / "listing").write_text(text)

    def uses(self, text: str) -> None:
        """Say UUID, percent and MB of memory of each."""
        (self.folder / "uses").write_text(text)

    def apps(self, text: str) -> None:
        """Say UUID and process of each that has memory on one."""
        (self.folder / "apps").write_text(text)

    def broken(self, text: str) -> None:
        """Let it fail with these words."""
        (self.folder / "listing").write_text("")
        (self.folder / "broken").write_text(text)

    def asked(self) -> list[str]:
        """Return what it was asked."""
        log = self.folder / "asked"
        return log.read_text().splitlines() if log.exists() else []
