"""Show where two pictures differ, as a third one; with Pillow, of the extra ``plots``."""

from __future__ import annotations

import base64
import io
from importlib.util import find_spec

from mlbutler.frozen import frozen

_MOST_PIXELS = 4_000_000
_NOTICED = 8
"""Of 255: what a pixel's strongest channel must differ by to count."""


@frozen
class ImageDifference:
    """A PNG as data URI, bright where pictures differ, and the share of pixels that do.

    `problem`: why there is none.
    """

    source: str = ""
    share: float = 0.0
    problem: str = ""


def difference(old: bytes, new: bytes) -> ImageDifference | None:
    """Compare two pictures pixel by pixel, the strongest of each pixel's channels; None without Pillow.

    Transparency counts as a channel. Of animations the first frame is compared.
    """
    if find_spec("PIL") is None:
        return None
    from PIL import Image, ImageChops

    try:
        with Image.open(io.BytesIO(old)) as before, Image.open(io.BytesIO(new)) as after:
            if before.size != after.size:
                sizes = " → ".join(f"{width} × {height}" for width, height in (before.size, after.size))
                return ImageDifference(problem=f"other sizes: {sizes} pixels")
            if before.width * before.height > _MOST_PIXELS:
                return ImageDifference(problem=f"more than {_MOST_PIXELS:,} pixels: not compared")
            bands = ImageChops.difference(before.convert("RGBA"), after.convert("RGBA")).split()
        strongest = bands[0]
        for band in bands[1:]:
            strongest = ImageChops.lighter(strongest, band)
        counts = strongest.histogram()
        share = sum(counts[_NOTICED:]) / max(sum(counts), 1)
        shown = strongest.point([0 if v < _NOTICED else min(255, 64 + v * 2) for v in range(256)])
        into = io.BytesIO()
        shown.save(into, "PNG", optimize=True)
    except Exception:  # whatever the decoder makes of bytes that somebody else wrote
        return ImageDifference(problem="they cannot be compared")
    return ImageDifference("data:image/png;base64," + base64.b64encode(into.getvalue()).decode("ascii"), share)
