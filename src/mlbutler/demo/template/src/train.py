"""Stage train: a small neural network, epoch by epoch. Arguments: features, model and curve to write."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import network
import numpy as np
import yaml


def main(features: Path, model_file: Path, curve_file: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())["train"]
    data = np.load(features)
    x, y = data["x_train"], data["y_train"]
    random = np.random.default_rng(params["seed"])
    model = network.start(x.shape[1], params["hidden"], y.max() + 1, random)
    speed = tuple(np.zeros_like(weight) for weight in model)
    curve = []
    for epoch in range(1, params["epochs"] + 1):
        network.train_epoch(model, speed, x, y, params["batch"], params["learning_rate"], random)
        loss = network.losses(network.probabilities(model, data["x_test"]), data["y_test"]).mean()
        curve.append((epoch, round(float(loss), 6)))
        print(f"epoch {epoch:3}: loss {loss:.4f}", flush=True)

    for file in (model_file, curve_file):
        file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(model_file, *model)
    with curve_file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["epoch", "loss"])
        writer.writerows(curve)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
