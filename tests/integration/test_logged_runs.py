"""A project that declares no metrics, whose stage logs to MLflow's folder."""

from __future__ import annotations

from tests.integration.world import DVC_YAML, TRAIN, World, params

# As MLflow's file store lies on the disk; tests/trackers/test_offline.py has the real one.
LOGS = """
import pathlib
folder = pathlib.Path("mlruns/0/0123abcd")
(folder / "metrics").mkdir(parents=True)
(folder / "meta.yaml").write_text("run_name: bold-<fish>\\nlifecycle_stage: active\\n")
(folder / "metrics" / "accuracy").write_text(f"1764236096000 0.1 0\\n1764236097000 {0.9 + rate} 1\\n")
pathlib.Path("metrics.json").unlink()
"""
GATE = '[[gate]]\nmetric = "accuracy"\nmax_drop = 0.01\n[forge]\nkind = "folder"\n[trackers]\ngit = "tracked"\n'


def test_the_runs_that_stages_log_are_linked_and_compared_with_those_of_the_target(world: World) -> None:
    dvc_yaml = DVC_YAML.replace("    metrics: [{metrics.json: {cache: false}}]\n", "")
    ignored = (world.project / ".gitignore").read_text() + "mlruns\n"
    files = {"dvc.yaml": dvc_yaml, "src/train.py": TRAIN + LOGS, ".gitignore": ignored, "mlbutler.toml": GATE}
    world.git(world.author, "rm", "-q", "metrics.json")
    world.branch("main", files)
    world.branch("logs", {"params.yaml": params(0.05)})
    first = world.run(world.clone("origin/logs"), world.jenkins("logs"))
    assert first.code == 0, first.out + first.err
    (metric,) = first.record["compare"]["metrics"]
    assert (metric["file"], metric["name"], metric["old"]) == ("tracked/metrics.csv", "accuracy", None)
    assert metric["new"] == 0.9 + 0.05
    assert first.record["compare"]["runs"] == [
        {"tracker": "MLflow", "name": "bold-<fish>", "id": "0123abcd", "place": "mlruns/0/0123abcd", "url": ""}
    ]
    report = (first.root / ".mlbutler" / "report" / "report.md").read_text()
    assert "MLflow: bold-&lt;fish> in <code>mlruns/0/0123abcd</code>" in report
    results = world.git(world.bare, "rev-parse", "logs")
    assert world.git(world.bare, "show", f"{results}:tracked/metrics.csv").splitlines()[1].startswith("accuracy,0.95")

    world.git(world.bare, "update-ref", "refs/heads/main", results)
    world.git(world.author, "fetch", "-q", "origin")
    world.branch("worse", {"params.yaml": params(0.01)}, start="origin/main")
    second = world.run(world.clone("origin/worse"), world.jenkins("worse", 2))
    assert second.code == 1, second.out + second.err
    (metric,) = second.record["compare"]["metrics"]
    assert (metric["old"], metric["new"], metric["verdict"]) == (0.9 + 0.05, 0.9 + 0.01, "worse")
    assert second.record["compare"]["gates"][0]["outcome"] == "failed"
