"""Stage evaluate: how good is the model. Arguments: features, model, and to write: metrics, confusion, predictions."""

from __future__ import annotations

import csv
import json
import pickle
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, log_loss


def main(features: Path, model_file: Path, metrics_file: Path, confusion_file: Path, predictions_file: Path) -> None:
    data = np.load(features)
    model = pickle.loads(model_file.read_bytes())
    actual, predicted = data["y_test"], model.predict(data["x_test"])
    probability = model.predict_proba(data["x_test"])
    metrics = {
        "accuracy": accuracy_score(actual, predicted),
        "f1": f1_score(actual, predicted, average="macro"),
        "log_loss": log_loss(actual, probability),
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
        of_the_truth = probability[np.arange(len(actual)), np.searchsorted(model.classes_, actual)]
        for name, truth, said, share in zip(data["names_test"], actual, predicted, of_the_truth, strict=True):
            writer.writerow([name, truth, said, f"{share:.6f}"])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:6]))
