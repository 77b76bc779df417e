"""Watch an experiment that runs: is it stalled, are its GPUs idle, what are its metrics.

An experiment is stalled when for some time it has written no output, no metric file has changed and no GPU of its was
busy. That is said, and nothing is ended for it. What is lost is another matter, of the processes that run it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mlbutler.comparison.documents import LARGEST, read_document
from mlbutler.comparison.snapshot import Source
from mlbutler.console import human_seconds
from mlbutler.experiments.gpus import GpuDevice, GpuUtilization
from mlbutler.numbers import as_float
from mlbutler.state.fingerprint import Fingerprint

IDLE = 900.0
"""Seconds after which a GPU that nothing uses is said to be idle."""
_LOOK, _ASK = 1.0, 30.0
"""Seconds between two looks at files, and between two questions to the driver."""
_MOST = 50
_TRIES, _PAUSE = 3, 0.03


class Watch:
    """Watch one experiment under way.

    Args:
        stall: seconds without a sign of life after which it is stalled, None for never.
        gpus: those that it was given. uses: asks the driver how busy each is.
        files: returns the metric files that there may be, from the project's root `root`.
        say: takes what is worth a line in the log. clock: seconds that only go up.

    Attributes:
        metrics: ``file:name`` -> value, as they are written now.
    """

    def __init__(
        self, stall: float | None, gpus: Sequence[GpuDevice], uses: Callable[[], Mapping[str, GpuUtilization]],
        root: Path, files: Callable[[], Sequence[str]], say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._stall, self._gpus, self._uses = stall, gpus, uses
        self._root, self._files, self._say, self._clock = root, files, say, clock
        now = clock()
        self._active, self._looked, self._asked = now, now, now
        self._busy = {gpu.uuid: now for gpu in gpus}
        self._idle: set[str] = set()
        self._began = time.time()
        self._read: dict[str, tuple[str, bool]] = {}
        self.metrics: dict[str, float] = {}

    def note_output(self) -> None:
        """Note that it has written output."""
        self._active = self._clock()

    def poll(self) -> float | None:
        """Return for how long nothing has happened, once that is too long; files and driver are checked at times."""
        now = self._clock()
        if now >= self._looked + _LOOK:
            self._looked = now
            for name in self._files():
                self._read_metrics(name)
        if self._gpus and now >= self._asked + _ASK:
            self._asked = now
            self._ask_driver(now)
        silent = now - self._active
        return silent if self._stall is not None and silent >= self._stall else None

    def _read_metrics(self, name: str) -> None:
        try:
            status = (self._root / name).stat()
        except OSError:
            return
        found = Fingerprint.of(status)
        now, before = (found.text, found.is_racy()), self._read.get(name)
        # What was checked out with the code is no news.
        if (before is not None and before == (found.text, False)) or status.st_mtime < self._began:
            return
        values = _numbers(self._root / name)
        if values is None:  # torn: it is written at this moment
            return
        self._read[name] = now
        kept = {key: value for key, value in self.metrics.items() if not key.startswith(f"{name}:")}
        merged = kept | {f"{name}:{key}": value for key, value in values.items()}
        merged = dict(list(merged.items())[:_MOST])
        if before is None or before[0] != found.text or merged != self.metrics:
            self._active = self._clock()
        self.metrics = merged

    def _ask_driver(self, now: float) -> None:
        uses = self._uses()
        for gpu in self._gpus:
            use = uses.get(gpu.whole) if gpu.uuid == gpu.whole else None
            if use is None or use.percent is None:  # the driver does not say it of a part of a GPU
                self._busy[gpu.uuid] = now
            elif use.percent > 0:
                self._busy[gpu.uuid] = self._active = now
            silent = now - self._busy[gpu.uuid]
            if silent < IDLE:
                self._idle.discard(gpu.uuid)
            elif gpu.uuid not in self._idle:
                self._idle.add(gpu.uuid)
                self._say(f"GPU {gpu.index} ({gpu.name}) has done nothing for {human_seconds(silent)}.")


def _numbers(path: Path) -> dict[str, float] | None:
    """Return the numbers of a metric file; None where it is torn: DVCLive does not write it in one piece."""
    for _ in range(_TRIES):
        try:
            if not path.is_file() or path.stat().st_size > LARGEST:
                return {}
            document = read_document(path.name, Source(path.read_bytes()))
        except OSError:
            return None
        if document.known and not document.problem:
            values = {name: value for name, value in document.values.items() if not isinstance(value, bool)}
            return {name: number for name, value in values.items() if (number := as_float(value)) is not None}
        time.sleep(_PAUSE)
    return None
