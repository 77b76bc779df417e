"""Quick tests: no training, no data from the remote."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import images


class Reading(unittest.TestCase):
    def test_pictures_become_rows_and_folders_become_labels(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for label, grey in (("3", 0), ("8", 255)):
                Path(folder, label).mkdir()
                Image.new("L", (8, 8), grey).save(Path(folder, label, "0001.png"))
            pixels, labels = images.read(Path(folder))
        self.assertEqual(labels.tolist(), [3, 8])
        self.assertEqual(pixels.shape, (2, 64))
        self.assertEqual((pixels[0].max(), pixels[1].min()), (0.0, 1.0))


class Splitting(unittest.TestCase):
    def test_every_row_is_used_once_and_every_label_keeps_its_share(self) -> None:
        labels = np.repeat(np.arange(10), 40)
        train, test = images.split(labels, share=0.25, seed=1)
        self.assertEqual(sorted([*train, *test]), list(range(400)))
        self.assertEqual(np.bincount(labels[test]).tolist(), [10] * 10)

    def test_the_same_seed_splits_alike(self) -> None:
        labels = np.repeat(np.arange(10), 8)
        one, two = (images.split(labels, share=0.5, seed=3)[0] for _ in range(2))
        self.assertTrue((one == two).all())


if __name__ == "__main__":
    unittest.main()
