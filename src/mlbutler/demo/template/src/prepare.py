"""Stage prepare: pictures to features. Arguments: folder of pictures, features to write."""

from __future__ import annotations

import sys
from pathlib import Path

import images
import numpy as np
import yaml


def main(folder: Path, features: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())["prepare"]
    x, y = images.read(folder)
    train, test = images.split(y, params["test_share"], params["seed"])
    features.parent.mkdir(parents=True, exist_ok=True)
    names = np.array(images.names(folder))[test]
    np.savez(features, x_train=x[train], y_train=y[train], x_test=x[test], y_test=y[test], names_test=names)
    print(f"{len(train)} pictures to train, {len(test)} to test")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
