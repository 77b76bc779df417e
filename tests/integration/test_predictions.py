"""A pull request whose predictions are compared example by example, with its predictions in Git or in DVC."""

from __future__ import annotations

import base64

import pytest

from tests.integration.world import DVC_YAML, SETTINGS, TRAIN, World

# 1 x 1 pixel
_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_PREDICT = """
import csv
with open("predictions.csv", "w", newline="") as stream:
    writer = csv.writer(stream)
    writer.writerow(["id", "label", "prediction", "score", "site", "picture"])
    for n in range(400):
        wrong = WRONG
        writer.writerow([f"<b>{n}</b>", "cat", "dog" if wrong else "cat", 0.1 if wrong else 0.9,
                         "north" if n < 100 else "south", "dot.png" if n == 20 else "../dot.png"])
"""
_DECLARED = """
[[predictions]]
file = "predictions.csv"
id = "id"
score = "score"
positive = "cat"
slices = ["site"]
image = "picture"
"""


@pytest.mark.parametrize("cached", [True, False], ids=["in DVC", "in Git"])
def test_a_slice_that_the_mean_hides_is_found(world: World, cached: bool) -> None:
    out = "model.txt, predictions.csv" if cached else "model.txt, {predictions.csv: {cache: false}}"
    dvc_yaml = DVC_YAML.replace("outs: [model.txt]", f"outs: [{out}]")
    world.git(world.author, "checkout", "-q", "main")
    files = {"dvc.yaml": dvc_yaml, "mlbutler.toml": SETTINGS + _DECLARED,
             "src/train.py": TRAIN + _PREDICT.replace("WRONG", "n >= 370")}  # fmt: skip
    for path, content in files.items():
        (world.project / path).write_text(content)
    (world.project / "dot.png").write_bytes(_DOT)
    world.dvc("repro", "-q")
    world.share()
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "predictions")
    world.push("main")

    run = world.change("hidden", {"src/train.py": TRAIN + _PREDICT.replace("WRONG", "20 <= n < 50")})
    assert run.code == 0, run.out + run.err
    (found,) = run.record["compare"]["predictions"]
    assert (found["examples"], found["broken"], found["fixed"]) == (400, 30, 30)
    assert found["verdict"] == "within noise"
    assert [(part["value"], part["worse"]) for part in found["slices"]] == [("north", True), ("south", False)]
    assert {score["name"] for score in found["scores"]} == {"roc_auc", "log_loss", "brier"} - {"roc_auc"}
    assert found["flips"][0]["image"].startswith("data:image/png")
    assert {flip["image"] for flip in found["flips"][1:]} == {""}
    comment = next(iter(world.forge.rglob("*.md"))).read_text()
    assert "worse where site = north: 100.0 % → 70.0 % right" in comment
    assert "<b>20" not in comment
    page = (run.root / ".mlbutler/report/report.html").read_text()
    assert "<b>20" not in page.split("<script")[0]
    assert "&lt;b&gt;20&lt;/b&gt;" in page

    again = world.run(world.clone("origin/hidden"), world.jenkins("hidden"))
    assert again.record["compare"]["predictions"][0]["broken"] == 30, "the committed results are compared too"


def test_a_change_that_leaves_the_predictions_alone_brings_nothing(world: World) -> None:
    world.git(world.author, "checkout", "-q", "main")
    (world.project / "predictions.csv").write_text("label,prediction\na,a\n")
    world.dvc("add", "-q", "predictions.csv")
    world.share()
    (world.project / "mlbutler.toml").write_text(SETTINGS + '[[predictions]]\nfile = "predictions.csv"\n')
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "predictions")
    world.push("main")
    run = world.change("words", {"README": "words"})
    assert run.code == 0, run.out + run.err
    (found,) = run.record["compare"]["predictions"]
    assert (found["verdict"], found["reason"]) == ("same", "the same file on both sides")
    cached = [file for file in (run.root / ".dvc" / "cache").rglob("*") if file.is_file()]
    assert not [file for file in cached if file.read_bytes().startswith(b"label")]
