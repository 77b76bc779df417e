"""Pictures of digits as numbers, and a split that keeps every digit's share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float32]
Labels = NDArray[np.int64]


def names(folder: Path) -> list[str]:
    """Paths of the pictures, ``<folder>/<label>/<name>.png``, in the order of the names."""
    return [file.as_posix() for file in sorted(folder.glob("*/*.png"))]


def read(folder: Path) -> tuple[Pixels, Labels]:
    """Pixels (0 to 1, one row a picture) and labels, in the order of `names`."""
    files = [Path(name) for name in names(folder)]
    pixels = [np.asarray(Image.open(file).convert("L"), dtype=np.float32).ravel() / 255 for file in files]
    return np.stack(pixels), np.array([int(file.parent.name) for file in files], dtype=np.int64)


def split(labels: Labels, share: float, seed: int) -> tuple[Labels, Labels]:
    """Row numbers for training and for testing; `share` of every label goes to the test."""
    random = np.random.default_rng(seed)
    train, test = [], []
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        cut = round(len(rows) * share)
        test.append(rows[:cut])
        train.append(rows[cut:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))
