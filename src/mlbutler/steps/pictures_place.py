"""A comment's pictures where the team wants them: in a repository, a bucket, or a folder that a web server shows."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from mlbutler import atomic
from mlbutler.errors import MlbutlerError, OutsideError, SettingsError
from mlbutler.extras import how_to_get
from mlbutler.forge.address import kind_of, parse_address
from mlbutler.git import address as git_address
from mlbutler.git.address import RemoteAccess
from mlbutler.record import Change
from mlbutler.report.plots.figure import File
from mlbutler.settings import CommentSettings
from mlbutler.steps.context import RunContext

_OURS = re.compile(r"plot-[0-9a-f]{20}\.[a-z]+")
_RAW = {"gitlab": "/-/raw/{commit}/{path}"}
_FOLDER = "pictures"


class _Place(Protocol):
    """Files of one folder by name."""

    def write(self, file: File) -> None:
        """Put the file there, with the present time where it is there already."""
        ...

    def list_files(self) -> Iterator[tuple[str, float]]:
        """Yield each file's name with the time when it was written."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...


def upload_pictures(
    context: RunContext,
    change: Change,
    settings: CommentSettings,
    files: Sequence[File],
    is_older: Callable[[str], bool],
) -> dict[str, str]:
    """Put the pictures there, by names that follow from their content; return name -> address that shows it.

    Those that no report of the last `comment.keep` seconds had are removed.

    Raises:
        SettingsError: the settings do not fit. OutsideError, GitError: the place did not take them.
    """
    where = settings.pictures_in
    assert where is not None
    if where.endswith(".git"):
        return _push_to_repository(context, change, settings, files, is_older)
    if settings.pictures_at is None:
        raise SettingsError(f"Nothing says at which address {where} is shown.", "Set comment.pictures_at.")
    try:
        place: _Place = _PictureBucket(where) if where.startswith("s3://") else _PictureFolder(Path(where))
        for file in files:
            place.write(file)
        _prune(place, settings.keep, {file.name for file in files})
    except MlbutlerError:
        raise
    except Exception as error:  # the client of a bucket raises its own, or those of what it stands on
        said = str(error).partition("\n")[0][:200]
        raise OutsideError(
            f"{where} did not take the pictures: {said}", "See that this agent may write there."
        ) from error
    return {file.name: f"{settings.pictures_at.rstrip('/')}/{file.name}" for file in files}


def _prune(place: _Place, keep: float, shown: set[str]) -> None:
    if not keep:
        return
    before = time.time() - keep
    for name, when in list(place.list_files()):
        if when < before and name not in shown and _OURS.fullmatch(name):
            place.remove(name)


class _PictureFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, file: File) -> None:
        atomic.write(self._folder / file.name, file.content)

    def list_files(self) -> Iterator[tuple[str, float]]:
        for path in self._folder.iterdir():
            yield path.name, path.lstat().st_mtime

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


class _PictureBucket:
    """A folder of an S3 bucket, by the library that DVC has for it; credentials and endpoint are the environment's."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        try:
            self._fs, self._root = url_to_fs(url.rstrip("/"), use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            raise SettingsError("comment.pictures_in needs a client for S3.", how_to_get("s3")) from error

    def write(self, file: File) -> None:
        self._fs.pipe_file(f"{self._root}/{file.name}", file.content, ContentType=file.media)

    def list_files(self) -> Iterator[tuple[str, float]]:
        for entry in self._fs.ls(self._root, detail=True):
            when: Any = entry.get("LastModified")
            if isinstance(when, datetime):
                yield str(entry["name"]).rpartition("/")[2], when.timestamp()

    def remove(self, name: str) -> None:
        self._fs.rm_file(f"{self._root}/{name}")


# ------------------------------------------------------------------------------------ another repository


def _push_to_repository(
    context: RunContext,
    change: Change,
    settings: CommentSettings,
    files: Sequence[File],
    is_older: Callable[[str], bool],
) -> dict[str, str]:
    """Push the pictures, and nothing of the report, to a branch of the repository that the team names."""
    from mlbutler.commitback.build import Author
    from mlbutler.commitback.report_branch import ReportBranch, prune

    there = git_address.parse_git_address(settings.pictures_in or "")
    own = parse_address(change.repository)
    at = parse_address(there.url)
    if there.protocol != "file" and (own is None or at is None or at.host != own.host):
        raise SettingsError(
            "comment.pictures_in is on another host than the repository: Git's credential is not sent there.",
            "Name a repository on the same host, a bucket or a folder.",
        )
    raw = settings.pictures_at or (f"{at.web}/{at.repository(at.web)}{_raw(at.host)}" if at else "")
    if "{commit}" not in raw or "{path}" not in raw:
        raise SettingsError(
            "comment.pictures_at lacks {commit} or {path}.", "Write it as https://host/owner/name/raw/{commit}/{path}."
        )
    git = context.git.at(context.git.toplevel())
    if git.access is not None:
        git = git.reaching(RemoteAccess(there, fresh=False))
    named = re.sub(r"[^A-Za-z0-9]+", "-", (own.path if own else change.repository).removesuffix(".git")).strip("-")
    prefix = f"mlbutler/{_FOLDER}-{named}-"
    name = f"{prefix}{change.number}"
    branch = ReportBranch(git, there.url, name, Author.parse(context.settings.commit.author))
    done = branch.publish(_FOLDER, {file.name: file.content for file in files}, change.head, is_older)
    if settings.keep:
        prune(git, there.url, prefix, time.time() - settings.keep, name)
    if done.newer:
        return {}
    shown = raw.replace("{commit}", done.commit)
    return {file.name: shown.replace("{path}", quote(f"{_FOLDER}/{file.name}")) for file in files}


def _raw(host: str) -> str:
    return _RAW.get(kind_of(host) or "", "/raw/{commit}/{path}")
