"""The running mlbutler as a wheel in an image's build context, for as long as no package index has this version."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from mlbutler import pages
from mlbutler.errors import UsageError
from mlbutler.scaffold.changes import Action, FileChange
from mlbutler.version import __version__

FOLDER = ".mlbutler-init"
IN_IMAGE = "/opt/mlbutler-wheel"
# No time of the machine, and no compression, which differs between versions of zlib: the same source is the same wheel.
_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Wheel:
    """A wheel: its file's name and bytes."""

    name: str
    content: bytes

    @property
    def path(self) -> str:
        """Return where it lies, relative to the project's root."""
        return f"{FOLDER}/{self.name}"

    @cached_property
    def sha256(self) -> str:
        """Return its hash, which the Dockerfile names: another file in its place builds no image."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def address(self) -> str:
        """Return what pip installs it by in the image."""
        return f"file://{IN_IMAGE}/{self.name}#sha256={self.sha256}"


def running_wheel() -> Wheel | None:
    """Return the running mlbutler as a wheel; None where pip took it from a package index, which then has it.

    Raises:
        UsageError: mlbutler runs without being installed, so that nothing says what it depends on.
    """
    try:
        found = distribution("mlbutler")
    except PackageNotFoundError as error:
        raise UsageError(
            "mlbutler is not installed here, so that it cannot be put into the image.",
            "Install it (`pip install .` in its clone), or name what pip installs in the image: --requirement SPEC.",
        ) from error
    # PEP 610: pip and uv write it for everything that is no name and version of an index.
    if found.read_text("direct_url.json") is None:
        return None
    return Wheel(f"mlbutler-{__version__}-py3-none-any.whl", _build_wheel(found))


def decide_wheels(root: Path, wheel: Wheel | None, dockerfile: str) -> list[FileChange]:
    """Return what becomes of the wheels in the build context: the one that the Dockerfile names by its hash is there.

    Those of earlier times go, unless it still names them.

    Args:
        dockerfile: its text.
    """
    kept = [path for path in sorted((root / FOLDER).glob("mlbutler-*.whl")) if wheel is None or path.name != wheel.name]
    changes = [
        FileChange(f"{FOLDER}/{path.name}", Action.REMOVE, "", "") for path in kept if path.name not in dockerfile
    ]
    if wheel is not None and wheel.sha256 in dockerfile:
        path = root / wheel.path
        action = Action.CREATE if not path.exists() else Action.MERGE
        action = Action.UNCHANGED if path.exists() and path.read_bytes() == wheel.content else action
        changes.insert(0, FileChange(wheel.path, action, "", "", wheel.content))
    return changes


def _build_wheel(found: Distribution) -> bytes:
    """Return the wheel's bytes (binary distribution format 1.0)."""
    info = f"mlbutler-{__version__}.dist-info"
    record = []
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (*_code(), *((f"{info}/{name}", data) for name, data in _metadata(found))):
            _add(archive, name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            record.append(f"{name},sha256={digest},{len(data)}\n")
        _add(archive, f"{info}/RECORD", "".join((*record, f"{info}/RECORD,,\n")).encode())
    return stream.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _TIME), data)  # which any user may read, whatever the umask


def _code() -> Iterator[tuple[str, bytes]]:
    package = Path(pages.__file__).parent
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            yield f"mlbutler/{path.relative_to(package).as_posix()}", path.read_bytes()
    for page in pages.pages_by_topic().values():
        if not page.is_relative_to(package):  # in a clone
            yield f"mlbutler/pages/{page.name}", page.read_bytes()


def _metadata(found: Distribution) -> Iterator[tuple[str, bytes]]:
    yield "METADATA", (found.read_text("METADATA") or "").encode()
    yield "WHEEL", b"Wheel-Version: 1.0\nGenerator: mlbutler\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    yield "entry_points.txt", (found.read_text("entry_points.txt") or "").encode()
    for path in found.files or ():
        if path.parent.name == "licenses":
            yield f"licenses/{path.name}", path.read_binary()
