"""A small DVC project, of which one file is hostile."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

from mlbutler.errors import MlbutlerError
from mlbutler.project.project import Project

_RAW, _METRICS = b"row 1\n", b'{"acc": 0.9}\n'
_MD5 = hashlib.md5(_RAW).hexdigest()
FILES = {
    "dvc.yaml": b"""vars: [params.yaml, {k: 3}]
stages:
  prepare:
    cmd: cat raw.txt > prepared.txt
    deps: [raw.txt]
    outs: [{prepared.txt: {push: false, desc: text}}]
  train:
    matrix: {lr: [1, 2]}
    cmd: [echo "${item.lr}", "echo ${n}"]
    wdir: .
    deps: [prepared.txt]
    params: [n, {params.yaml: [nested.a]}]
    outs: ["model${item.lr}"]
    metrics: [m${item.lr}.json: {cache: false}]
  each:
    foreach: {a: {x: 1}, b: {x: 2}}
    do:
      cmd: echo ${item.x} > each-${key}
      outs: [each-${key}]
metrics: [metrics.json]
plots:
  - curve.csv: {x: step, y: loss, template: linear}
  - both: {x: {curve.csv: step}, y: {curve.csv: [loss, acc]}}
params: [params.yaml]
artifacts: {net: {path: model1, type: model}}
""",
    "dvc.lock": f"""schema: '2.0'
stages:
  prepare:
    cmd: cat raw.txt > prepared.txt
    deps:
    - {{path: raw.txt, hash: md5, md5: {_MD5}, size: 6}}
    outs:
    - {{path: prepared.txt, hash: md5, md5: {_MD5}, size: 6}}
  train@1:
    cmd: [echo "1", echo 5]
    deps:
    - path: prepared.txt
      md5: {_MD5}
      size: 6
    params:
      params.yaml: {{n: 5, nested.a: [1, 2]}}
    outs:
    - path: model1
      md5: d41d8cd98f00b204e9800998ecf8427e.dir
      size: 3
      nfiles: 1
""".encode(),
    "raw.txt.dvc": f"outs:\n- md5: {_MD5}\n  size: 6\n  hash: md5\n  path: raw.txt\nmeta: {{label: gpu}}\n".encode(),
    ".dvc/config": b"[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../storage\n",
    "params.yaml": b"n: 5\nnested: {a: [1, 2], b: text}\nother: 1e-3\n",
    ".dvcignore": b"*.tmp\n/data/**\n!kept\n",
    "raw.txt": _RAW, "metrics.json": _METRICS, "curve.csv": b"step,loss,acc\n0,1,0.5\n1,0.5,0.7\n",
}  # fmt: skip
HOSTILE = ("dvc.yaml", "dvc.lock", "raw.txt.dvc", ".dvc/config", "params.yaml", ".dvcignore")


def reader(name: str) -> Callable[[bytes, Path, Random], None]:
    """Return what plans and compares the project with this file as the input has it."""

    def read(content: bytes, folder: Path, random: Random) -> None:
        root = folder / "project"
        if not root.exists():
            _make(root)
        (root / name).write_bytes(content)
        before = Path.cwd()
        os.chdir(root)
        try:
            _read(root)
        finally:
            os.chdir(before)
            (root / name).write_bytes(FILES[name])
            shutil.rmtree(root / ".dvc" / "tmp", ignore_errors=True)

    return read


def _read(root: Path) -> None:
    project = Project(root, {"PATH": os.environ.get("PATH", "")})
    problem: MlbutlerError | None = None
    for ask in (project.planning.plan, lambda: project.snapshots.read_snapshots("", "")):
        try:
            ask()
        except MlbutlerError as error:
            problem = error
    if problem is not None:
        raise problem


def _make(root: Path) -> None:
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=root, check=True, env={"PATH": os.environ["PATH"], "HOME": str(root)})
