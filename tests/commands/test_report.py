"""`mlbutler report --record`: a record is rendered anywhere, and a program learns where."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.world import make


def test_a_record_is_rendered_without_its_project_and_json_names_the_files(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    world = make(tmp_path / "world")
    root = world.clone("origin/main")
    assert world.run(root, {}, "--only", "plan").code == 0
    record = root / ".mlbutler" / "record.json"
    run = world.run(tmp_path, {}, "--json", "--record", str(record), "--output", "out", verb="report")
    assert run.code == 0, run.err
    files = json.loads(run.out)["files"]
    assert set(files) == {"md", "html", "json", "junit", "sarif", "codequality", "verdict", "verdict-html", "badge"}
    assert all((tmp_path / path).is_file() for path in files.values())
    printed = world.run(tmp_path, {}, "--record", str(record), "--format", "sarif", verb="report")
    assert json.loads(printed.out)["version"] == "2.1.0"
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    mine = world.run(root, {}, "--format", "md", verb="report")
    assert "\n**Passed**" in mine.out
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()} == before
