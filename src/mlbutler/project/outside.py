"""What lies on other storage than the project's own: asked as DVC asks, within a time, and never with a wrong answer.

DVC takes many failures to answer for "deleted". Here only "it is not there" is that; all else is not known.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from mlbutler.errors import UntrustedRemote
from mlbutler.project.load import address, one_line, relative
from mlbutler.project.model import NotKnown, Recorded
from mlbutler.remotes.trust import require_trusted
from mlbutler.store.missing_plugins import how_to_install

TIMEOUT = 30.0
"""Seconds for all questions together."""

_GONE = (404, 410)
_REFUSED = (401, 403, 407)
_MOST_AT_ONCE = 16

Answer = Recorded | NotKnown | None


class Outside:
    """Asks for dependencies and outputs that are addresses; all of them at once when the first is wanted.

    Args:
        repo: the opened `dvc.repo.Repo`, with the credentials of the project's remotes.
        refused: remotes that are given no credentials, and why (`mlbutler.remotes.trust`).
        agreed: may only what the target branch agreed to be used? Then a stage brings no settings of its own.
    """

    def __init__(self, repo: Any, refused: Mapping[str, str], *, agreed: bool, timeout: float = TIMEOUT) -> None:
        self._repo, self._refused, self._agreed, self._timeout = repo, refused, agreed, timeout
        self._answers: dict[str, Answer] | None = None

    def ask(self, path: str) -> Answer:
        """Return what is there now; None when it certainly is not there."""
        if self._answers is None:
            self._answers = self._ask_all()
        return self._answers.get(path, NotKnown("it was not asked for"))

    def _ask_all(self) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        wanted: queue.Queue[tuple[str, Any]] = queue.Queue()
        for path, item in self._items():
            if (refusal := self._refusal(item)) is not None:
                answers[path] = refusal
            elif path not in answers:
                answers[path] = NotKnown(
                    f"no answer within {self._timeout:g} seconds", "Check the network, and run again."
                )
                wanted.put((path, item))
        told: queue.Queue[tuple[str, Answer]] = queue.Queue()
        left = wanted.qsize()
        for _ in range(min(left, _MOST_AT_ONCE)):
            # One that hangs forever must not keep this process from ending.
            threading.Thread(target=_ask_each, args=(wanted, told), daemon=True).start()
        deadline = time.monotonic() + self._timeout
        while left:
            try:
                path, answer = told.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            answers[path] = answer
            left -= 1
        return answers

    def _items(self) -> Iterator[tuple[str, Any]]:
        for stage in self._repo.index.stages:
            if stage.cmd and not stage.frozen:
                for item in (*stage.deps, *stage.outs):
                    if item.protocol != "local":
                        yield relative(self._repo, item)[0], item

    def _refusal(self, item: Any) -> NotKnown | None:
        """Return why it must not be asked for."""
        if item.def_fs_config and self._agreed:
            named = address(self._repo, item.stage)
            return NotKnown(f"'{named}' brings settings of its own for it", "Put them into a remote of .dvc/config.")
        location = urlsplit(str(item.def_path))
        seen: set[str] = set()
        while location.scheme == "remote" and location.netloc not in seen:
            seen.add(location.netloc)
            try:
                require_trusted(location.netloc, self._refused)
            except UntrustedRemote as error:
                return NotKnown(error.message, error.remedy)
            location = urlsplit(str(self._repo.config["remote"].get(location.netloc, {}).get("url", "")))
        return None


def _ask_each(wanted: queue.Queue[tuple[str, Any]], told: queue.Queue[tuple[str, Answer]]) -> None:
    while True:
        try:
            path, item = wanted.get_nowait()
        except queue.Empty:
            return
        told.put((path, _ask(item)))


def _ask(item: Any) -> Answer:
    try:
        _, info = item._get_hash_meta()
    except FileNotFoundError as error:
        return _explain_not_found(error)
    except Exception as error:  # whatever the plugin of that storage raises
        return _explain_failure(error)
    if not info or not isinstance(info.value, str):
        return NotKnown("its server tells neither a checksum nor a version")
    return Recorded(info.name, info.value)


def _explain_not_found(error: FileNotFoundError) -> Answer:
    """Return None where it is gone, else the failure, which some plugins call "not found" and keep as the cause."""
    cause = error.__cause__
    if cause is None or isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) in _GONE:
        return None
    return _explain_failure(cause)


def _explain_failure(error: BaseException) -> NotKnown:
    status = getattr(error, "status", None)
    if isinstance(status, int):
        remedy = "Give this agent the credentials." if status in _REFUSED else "Run again when the server answers."
        return NotKnown(f"the server answers {status}", remedy)
    said = one_line(error)
    if isinstance(error, PermissionError) or "redential" in said:
        return NotKnown(f"not allowed: {said}", "Give this agent the credentials.")
    if "is supported, but requires" in said or isinstance(error, ImportError):
        return NotKnown(said, how_to_install(error))
    return NotKnown(said, "Check the network and the address, and run again.")
