"""A directory that keeps comments and statuses as files: for demonstrations, tests, and servers without a forge.

A comment is ``pull-requests/<number>/comments/<title>.md``, a status ``statuses/<commit>.json``, or
``statuses/<commit>.<title>.json`` for a project below the repository's root.
Pictures are beside ``comments``, in ``pictures``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from mlbutler import atomic
from mlbutler.errors import ForgeError, SettingsError
from mlbutler.forge.interface import Capabilities, CommitStatus, NotOffered, PictureFile, Posted, PullRequest
from mlbutler.forge.opening import Opening
from mlbutler.record import Change
from mlbutler.report.build import NAME
from mlbutler.report.marker import parse_marker

_NAME_LIMIT = 120
_LOCK_SECONDS = 60.0


class Folder:
    """Comments and statuses below `directory`, which is made when it is missing.

    Args:
        check: raises for a path that must not be written.
    """

    name = "folder"
    capabilities = Capabilities(comment_limit=None, unit="characters", sentence_limit=140, pictures="attached")

    def __init__(self, directory: Path, check: Callable[[Path], None] | None = None) -> None:
        self._directory, self._check = directory, check

    def pull_request(self, change: Change) -> PullRequest | None:
        """See `Forge.pull_request`; a folder knows of none."""
        return None

    def open_pull_request(self, change: Change, title: str, body: str) -> PullRequest:
        """Raise `NotOffered`: a folder has no pull requests.

        Raises:
            NotOffered: always.
        """
        raise NotOffered("A folder has no pull requests.")

    def close_pull_requests(self, change: Change) -> tuple[str, ...]:
        """Return that none was closed: a folder has no pull requests."""
        return ()

    def comment(
        self, change: Change, title: str, body: str, is_older: Callable[[str], bool], *, create: bool = True
    ) -> Posted:
        """See `Forge.comment`."""
        if change.number is None:
            raise ForgeError("There is no pull request to comment on.", "Run in a build of a pull request.")
        path = self._comments(change.number) / f"{file_name(title)}.md"
        with self._writing(path):
            if not create and not path.is_file():
                return Posted("", absent=True)
            there = parse_marker(path.read_text(encoding="utf-8", errors="replace"), title) if path.is_file() else None
            if there is not None and there != change.head and is_older(there):
                return Posted(str(path), newer=there)
            atomic.write(path, body.encode("utf-8", "backslashreplace"))
        return Posted(str(path))

    def attach(
        self, change: Change, title: str, pictures: Sequence[PictureFile], is_older: Callable[[str], bool]
    ) -> dict[str, str]:
        """See `Forge.attach`; the address is the path from the comment."""
        folder = self._comments(change.number or "").parent / "pictures"
        for picture in pictures:
            path = folder / file_name(picture.name)
            with self._writing(path):
                atomic.write(path, picture.content)
        return {picture.name: f"../pictures/{file_name(picture.name)}" for picture in pictures}

    def _comments(self, number: str) -> Path:
        return self._directory / "pull-requests" / file_name(number) / "comments"

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """See `Forge.status`."""
        own = "" if title == NAME else f".{file_name(title)}"
        path = self._directory / "statuses" / f"{file_name(change.head)}{own}.json"
        document = {
            "commit": change.head,
            "context": title,
            "state": state.value,
            "description": sentence,
            "target_url": target_url,
            "updated": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with self._writing(path):
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            atomic.write(path, text.encode("utf-8", "backslashreplace"))
        return str(path)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Hold the lock of this folder: reading the old comment and replacing it is one act."""
        from filelock import FileLock, Timeout

        if self._check is not None:
            self._check(self._directory / ".lock")
            self._check(path)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with FileLock(self._directory / ".lock", timeout=_LOCK_SECONDS):
                for left in path.parent.glob(f"{atomic.TEMPORARY}*"):  # of one that was killed: the lock is ours
                    left.unlink(missing_ok=True)
                yield
        except Timeout as error:
            raise ForgeError(f"{self._directory} is locked by another build.", "Run again.") from error
        except OSError as error:
            raise ForgeError(
                f"The folder forge cannot write {path}: {error.strerror or error}.",
                f"Make {self._directory} a directory that this user can write, or change forge.url.",
            ) from error


def file_name(text: str) -> str:
    """Return `text` as one harmless file name; different texts have different names.

    Letters, digits and ``-_~.`` stay, all else is percent-encoded, a leading dot too.
    """
    name = quote(text.encode("utf-8", "surrogatepass"), safe=" ").replace(" ", "+") or "%"
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > _NAME_LIMIT:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{name[: _NAME_LIMIT - 17]}~{digest}"
    return name


def from_opening(opening: Opening) -> Folder:
    """Open the folder that ``forge.url`` names: a path, relative to the project's root or absolute, or a file URL.

    Raises:
        SettingsError: no directory is set, or it is an address on the network.
    """
    url = opening.place.url
    if not url:
        raise SettingsError("forge.kind is 'folder' but forge.url is not set.", "Set forge.url to a directory.")
    if "://" not in url:
        return Folder(opening.root / Path(url).expanduser(), opening.check)
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise SettingsError(
            "The folder forge takes a directory, not a network address.", "Set forge.url to a directory."
        )
    return Folder(Path(unquote(parts.path)), opening.check)
