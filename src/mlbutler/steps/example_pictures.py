"""The pictures of flipped examples, as a predictions file names them."""

from __future__ import annotations

import base64
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlbutler.comparison.images import image_kind, is_whole
from mlbutler.store.interface import ObjectId

if TYPE_CHECKING:
    from mlbutler.project.project import Project

_LARGEST = 100 * 1024  # bytes; a few of them go into every report


def picture(project: Project, path: str) -> str:
    """Return a small PNG, JPEG, GIF or WebP file of the project as a data URI, '' when there is none here.

    Args:
        path: from the project's root. It comes from the pull request: a path out of the project is not read.
    """
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if not parts or path.startswith("/") or ".." in parts or ".git" in parts or "\0" in path:
        return ""
    content = _content(project, "/".join(parts))
    kind = image_kind(content) if content else None
    if content is None or kind is None or not is_whole(content, kind):
        return ""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _content(project: Project, path: str) -> bytes | None:
    file = project.root / path
    try:
        if file.is_file() and not file.is_symlink() and file.resolve().is_relative_to(project.root.resolve()):
            return file.read_bytes() if file.stat().st_size <= _LARGEST else None
    except OSError:
        return None
    owner = project.stages.owner(path)
    recorded = owner[1].recorded if owner is not None and owner[1].cached else None
    if owner is None or recorded is None or (oid := recorded.oid) is None:
        return None
    if path != owner[1].path:
        md5 = (project.objects.manifest(oid) or {}).get(path[len(owner[1].path) + 1 :])
        if md5 is None:
            return None
        oid = ObjectId(md5, oid.legacy)
    return project.objects.content(oid, _LARGEST)
