"""Recognise pictures by their bytes: of what kind, and whole or not.

Nothing is decoded: they come from the pull request.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_MAGIC = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"


def image_kind(content: bytes) -> str | None:
    """Return the kind of picture by its first bytes: ``png``, ``jpeg``, ``gif``, ``webp``; None for others."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((kind for magic, kind in _MAGIC if content.startswith(magic)), None)


def is_whole(content: bytes, kind: str) -> bool:
    """Return whether the picture has its end, and a PNG the right checksums.

    A browser shows only a part of a picture without them, or nothing.

    Args:
        kind: as `image_kind` tells it.
    """
    if kind == "png":
        chunks = list(_chunks(content))
        return [chunks[0], chunks[-1]] == [b"IHDR", b"IEND"] and b"IDAT" in chunks if chunks else False
    if kind == "jpeg":
        return content.rfind(_JPEG_END) > content.rfind(_JPEG_SCAN) >= 0
    if kind == "gif":
        return len(content) > 13 and content.rstrip(b"\0").endswith(b";")
    return len(content) >= 8 + int.from_bytes(content[4:8], "little") > 20


def _chunks(content: bytes) -> Iterator[bytes]:
    """Yield names of a PNG's chunks up to its end, or to the first that is cut off or damaged.

    PNG specification, 5.3.
    """
    at = len(_PNG) if content.startswith(_PNG) else len(content)
    while len(content) - at >= 12:
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + 8 + length
        if content[end : end + 4] != zlib.crc32(content[at + 4 : end]).to_bytes(4, "big"):
            return
        yield name
        if name == b"IEND":
            return
        at = end + 4
