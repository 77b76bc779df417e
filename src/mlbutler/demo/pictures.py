"""scikit-learn's digits as picture files."""

from __future__ import annotations

from pathlib import Path

_GREYS = 16  # the data set knows 0 (paper) to 16 (ink)


def write_digits(folder: Path) -> int:
    """Write ``<label>/<number>.png``, 8 by 8 pixels in grey; return how many.

    The bytes are the same every time.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for label in digits.target_names:
        (folder / str(label)).mkdir(parents=True)
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        grey = (pixels * (255 / _GREYS)).round().astype("uint8")
        Image.fromarray(grey).save(folder / str(label) / f"{number:04}.png")
    return len(digits.target)
