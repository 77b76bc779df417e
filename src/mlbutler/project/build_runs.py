"""The entries of DVC's run cache that count in a build on a CI server.

Tests and stages can write into the clone's ``.dvc/cache/runs``, and so could those of earlier builds in a kept
workspace. So an entry counts that lies in the mirror or on the remote, where only builds of trusted changes put what
they ran, or that DVC made when this process let it run a stage. These are kept in memory. Where the stages of one build
run on several agents, the pipeline hands the entries of one to the next (`HANDED_RUNS`): those are read once, before
this process runs anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlbutler.project.run_cache import newest, parse_entry
from mlbutler.store.runs import newest_in, put_entry


@dataclass
class BuildRuns:
    """The entries of DVC's run cache that one process has read or been given.

    Attributes:
        mirror: None where there is none.
    """

    mirror: Path | None
    _known: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def import_entries(self, runs: Path) -> None:
        """Let the entries in this ``runs`` directory count: other agents of the same build made them."""
        for folder in runs.glob("*/*"):
            if (file := newest_in(folder)) is not None:
                self._known[folder.name] = file.name, file.read_bytes()

    def find(self, key: str, fetch: Callable[[Path], bool]) -> Mapping[str, Any] | None:
        """Return the newest entry for DVC's hash of a stage and its inputs, None when there is none.

        Args:
            fetch: brings into a folder what the remote has for the key; True when that is anything.
        """
        if key in self._known:
            return parse_entry(self._known[key][1])
        found = newest([self.mirror / "runs"] if self.mirror is not None else [], key)
        if found is not None:
            return found
        with TemporaryDirectory(prefix="mlbutler-runs-") as folder:
            file = newest_in(Path(folder, "runs", key[:2], key)) if fetch(Path(folder)) else None
            if file is not None:
                self._known[key] = file.name, file.read_bytes()
        return parse_entry(self._known[key][1]) if key in self._known else None

    def add_entries(self, entries: Mapping[str, str], cache: Path) -> None:
        """Take over what DVC kept of a run: ``<key>/<value>`` -> content; into `cache` too, where `push` finds it.

        Raises:
            StoreError, DiskFull: the cache cannot be written.
        """
        for name, text in entries.items():
            key, _, value = name.partition("/")
            self._known[key] = value, text.encode()
            put_entry(cache, f"runs/{key[:2]}/{name}", text.encode())

    @contextmanager
    def worker_view(self) -> Iterator[dict[str, Any]]:
        """Yield what the worker has to know while one stage runs; see `mlbutler.reproduce.run_cache_view`."""
        known = {key: [value, content.decode(errors="replace")] for key, (value, content) in self._known.items()}
        with TemporaryDirectory(prefix="mlbutler-runs-") as folder:
            yield {"folder": folder, "mirror": str(self.mirror) if self.mirror is not None else None, "known": known}
