"""Stage train: a small neural network, epoch by epoch. Arguments: features, model and curve to write."""

from __future__ import annotations

import csv
import pickle
import sys
from pathlib import Path

import numpy as np
import yaml
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier


def main(features: Path, model_file: Path, curve_file: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())["train"]
    data = np.load(features)
    digits = np.unique(data["y_train"])
    model = MLPClassifier(
        hidden_layer_sizes=(params["hidden"],),
        learning_rate_init=params["learning_rate"],
        batch_size=params["batch"],
        random_state=params["seed"],
    )
    curve = []
    for epoch in range(1, params["epochs"] + 1):
        model.partial_fit(data["x_train"], data["y_train"], classes=digits)
        loss = float(log_loss(data["y_test"], model.predict_proba(data["x_test"]), labels=digits))
        curve.append((epoch, round(loss, 6)))
        print(f"epoch {epoch:3}: loss {loss:.4f}", flush=True)

    for file in (model_file, curve_file):
        file.parent.mkdir(parents=True, exist_ok=True)
    model_file.write_bytes(pickle.dumps(model))
    with curve_file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["epoch", "loss"])
        writer.writerows(curve)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
