"""A process that goes on when this command ends, writes a log, and is found again by later commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlbutler.atomic import write
from mlbutler.secrets import secret_values, without_credentials

_TIMEOUT = 20.0  # seconds between asking a process to stop and killing it


class BackgroundProcess:
    """One process of a server, with its files in the server's folder.

    Args:
        folder: where it works, and where its log and the note of it lie. name: of the files, and in messages.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.log = folder / f"{name}.log"
        self._note = folder / f"{name}.process.json"

    @property
    def was_started(self) -> bool:
        """Return whether it was started and not stopped since."""
        return self._note.is_file()

    @property
    def runs(self) -> bool:
        """Return whether it runs."""
        return self._pid() is not None

    def start(self, command: Sequence[str], further: Mapping[str, str]) -> None:
        """Start it in the environment of this process without credentials: builds can read its environment."""
        environ = without_credentials(os.environ, secret_values(os.environ)) | dict(further)
        with self.log.open("ab") as log:
            begins = log.tell()
            process = subprocess.Popen(
                command, cwd=self.folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        kept = {"pid": process.pid, "started": _start_time(process.pid), "log": begins}
        write(self._note, json.dumps(kept).encode())

    def stop(self) -> None:
        """Ask it to end, kill it when it does not, and forget it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = self._pid()
            if pid is None:
                break
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                break
            until = time.monotonic() + _TIMEOUT
            while self.runs and time.monotonic() < until:
                time.sleep(0.1)
        self._note.unlink(missing_ok=True)

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of what it wrote since it was started."""
        begins = self._read_note().get("log", 0)
        try:
            with self.log.open("rb") as log:
                log.seek(begins if isinstance(begins, int) else 0)
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _pid(self) -> int | None:
        """Return the process id, if it is still the process that was started here."""
        kept = self._read_note()
        pid, started = kept.get("pid"), kept.get("started")
        return pid if isinstance(pid, int) and started is not None and _start_time(pid) == started else None

    def _read_note(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._note.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}


def _start_time(pid: int) -> str | None:
    """Return when a process began, in the kernel's ticks; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return _start_time_by_ps(pid)
    return fields[19] if fields[0] not in ("Z", "X") else None


def _start_time_by_ps(pid: int) -> str | None:
    """Return when a process began according to ``ps``, where there is no /proc."""
    if Path("/proc/self/stat").exists():
        return None
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
