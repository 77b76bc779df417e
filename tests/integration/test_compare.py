"""`mlbutler compare` on what a project declares at the top of dvc.yaml."""

from __future__ import annotations

import json

from tests.integration.world import World


def test_declared_metrics_and_plots_are_results_and_no_code(world: World) -> None:
    text = (world.project / "dvc.yaml").read_text()
    declared = "\nmetrics: [eval/score.yaml]\nplots:\n  - eval/roc.tsv: {x: fpr, y: tpr}\n"
    files = {"dvc.yaml": text + declared, "eval/score.yaml": "auc: 0.5\n", "eval/roc.tsv": "fpr\ttpr\n0\t0\n1\t1\n"}
    world.branch("declared", files)
    world.git(world.author, "push", "-q", "origin", "declared:main")
    changed = {"eval/score.yaml": "auc: 0.6\n", "eval/roc.tsv": "fpr\ttpr\n0\t0\n.5\t.9\n1\t1\n", "notes.md": "better"}
    world.branch("better", changed, start="declared")
    root = world.clone("origin/better")
    done = world.run(root, {}, "--json", verb="compare")
    assert done.code == 0, done.err
    result = json.loads(done.out)["result"]
    [auc] = [metric for metric in result["metrics"] if metric["name"] == "auc"]
    assert (auc["old"], auc["new"], auc["verdict"]) == (0.5, 0.6, "better")
    assert [plot["changed"] for plot in result["plots"] if plot["title"] == "eval/roc.tsv"] == [True]
    assert [change["path"] for change in result["code"]] == ["notes.md"]
