"""Stage evaluate: how good is the model. Arguments: features, model, and to write: metrics, confusion, predictions."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import network
import numpy as np


def main(features: Path, model_file: Path, metrics_file: Path, confusion_file: Path, predictions_file: Path) -> None:
    data = np.load(features)
    model = tuple(np.load(model_file).values())
    actual, probability = data["y_test"], network.probabilities(model, data["x_test"])
    predicted = probability.argmax(axis=1)
    metrics = {
        "accuracy": (actual == predicted).mean(),
        "f1": f1(actual, predicted),
        "log_loss": network.losses(probability, actual).mean(),
    }
    rounded = {name: round(float(value), 6) for name, value in metrics.items()}
    metrics_file.write_text(json.dumps(rounded, indent=2) + "\n")
    print(rounded)

    confusion_file.parent.mkdir(parents=True, exist_ok=True)
    with confusion_file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["actual", "predicted"])
        writer.writerows(zip(actual.tolist(), predicted.tolist(), strict=True))

    with predictions_file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["picture", "digit", "said", "probability"])
        of_the_truth = probability[np.arange(len(actual)), actual]
        for name, truth, said, share in zip(data["names_test"], actual, predicted, of_the_truth, strict=True):
            writer.writerow([name, truth, said, f"{share:.6f}"])


def f1(actual: network.Labels, predicted: network.Labels) -> float:
    """The labels' F1 scores, each with the same weight."""
    labels = np.unique([actual, predicted])
    right = np.array([((actual == label) & (predicted == label)).sum() for label in labels])
    said = np.array([(actual == label).sum() + (predicted == label).sum() for label in labels])
    return float((2 * right / said).mean())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:6]))
