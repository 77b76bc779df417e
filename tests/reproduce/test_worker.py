"""What runs stages imports DVC once, and not for each stage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mlbutler.git import Git

# In one process, where what is new after the first import is what each fork would import again.
PROGRAM = """
import json, sys
from mlbutler.reproduce import worker
worker._import_dvc()
before, events = set(sys.modules), []
worker._graph({"stages": ["train"]}, events.append)
off = {"runs": None, "isolation": None, "visible": None, "may_lack": False, "force": False}
worker._stage({"name": "train", "lock_timeout": 1, "strict": True, **off}, events.append)
assert [one["outcome"] for one in events if "outcome" in one] == ["ran"], events
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_no_stage_imports_anything_anew(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: echo 1 > model; echo 'a-1' > metrics.txt\n"
        "    params: [rate]\n    outs: [model]\n    metrics: [{metrics.txt: {cache: false}}]\n"
    )
    (tmp_path / "params.yaml").write_text("rate: 1\n")
    Git(tmp_path).run("init", "-q")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
