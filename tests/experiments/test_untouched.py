"""Whatever the work tree is like: to send it leaves index, HEAD, stash, configuration and every file as they were."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.commands.train import submitters
from mlbutler.commands.train.opening import open_training
from mlbutler.commands.train.submit import RequestedOptions, SubmitOptions, send
from mlbutler.console import Console
from mlbutler.errors import UsageError
from mlbutler.git import Git
from tests import forked_children, forked_python
from tests.experiments.conftest import snapshot
from tests.experiments.test_capture import act, run

_NAMES = ("train.py", "data/deep/binary", "a b é.txt", "link", "new.txt", "ignored.tmp", "module/code")
_CONTENTS = (b"one\n", b"two\r\n", bytes(range(256)))
_ACTIONS = ("write", "delete", "rename", "mode", "link", "folder", "hide", "intend", "stash", "attribute", "conflict")
_STAGES = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [rate]
    metrics: [{metrics.json: {cache: false}}]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project with a stash, a submodule that differs, and files of several kinds."""
    root = tmp_path_factory.mktemp("untouched") / "project"
    (root / "data" / "deep").mkdir(parents=True)
    for name, text in {
        "dvc.yaml": _STAGES, "params.yaml": "rate: 0.1\n", "train.py": "print('train')\n", ".gitignore": "*.tmp\n",
        "a b é.txt": "é\n", "data/deep/binary": "\0", "kept.txt": "kept\n",
    }.items():  # fmt: skip
        (root / name).write_text(text)
    (root / "link").symlink_to("kept.txt")
    run(root, "init", "-q")
    own = forked_children.read_at_start(os.environ)
    assert forked_python.run("dvc", "init", "-q", cwd=root, env=environ(root.parent) | own).returncode == 0
    module = root / "module"
    module.mkdir()
    (module / "code").write_text("one\n")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "code")):
        run(module, *words)
    run(root, "add", "-A")
    run(root, "commit", "-qm", "first")
    (root / "kept.txt").write_text("stashed\n")
    run(root, "stash")
    for name in ("new.txt", "ignored.tmp"):
        (root / name).write_text("untracked\n")
    return root


def environ(home: Path) -> dict[str, str]:
    """An environment of a laptop's, wherever the test runs."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(home),
            "GIT_CONFIG_NOSYSTEM": "1", "USER": "ada"}  # fmt: skip


def change_tree(root: Path, action: str, name: str, content: bytes, staged: bool) -> None:
    """Do one thing to the work tree or its index."""
    path = root / name
    if action == "hide":
        subprocess.run(["git", "update-index", "--assume-unchanged", name], cwd=root, capture_output=True, check=False)
    elif action == "intend":
        subprocess.run(["git", "add", "-N", "-f", name], cwd=root, capture_output=True, check=False)
    elif action == "stash":
        subprocess.run(["git", *_IDENTITY, "stash", "-q"], cwd=root, capture_output=True, check=False)
    elif action == "conflict":
        blob = run(root, "hash-object", "-w", "kept.txt").strip()
        lines = "".join(f"100644 {blob} {stage}\tkept.txt\n" for stage in (1, 2, 3))
        entry = f"0 {'0' * 40}\tkept.txt\n{lines}"
        subprocess.run(["git", "update-index", "--index-info"], cwd=root, input=entry, text=True, check=True)
    elif action == "attribute":
        (root / ".gitattributes").write_bytes(b"*.txt text eol=crlf\n* -diff\n")
    elif not path.parent.is_symlink():
        act(root, action, name, content)
    if staged:
        subprocess.run(["git", "add", "-A"], cwd=root, capture_output=True, check=False)


_IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


@given(
    changes=st.lists(
        st.tuples(st.sampled_from(_ACTIONS), st.sampled_from(_NAMES), st.sampled_from(_CONTENTS), st.booleans()),
        min_size=1, max_size=7,
    ),
    copied=st.sampled_from([(), ("new.txt",), ("ignored.tmp",)]),
)  # fmt: skip
@settings(max_examples=12)
def test_what_is_sent_or_refused_leaves_everything_as_it_was(
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[str, str, bytes, bool]],
    copied: tuple[str, ...],
) -> None:
    folder = tmp_path_factory.mktemp("work")
    root = folder / "project"
    shutil.copytree(project, root, symlinks=True)
    for change in changes:
        change_tree(root, *change)
    before = snapshot(root)
    wanted = RequestedOptions("lr", ("rate=0.2,0.3",), (), None, None, None, 2, None, None, False, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submitters, "start_workers", lambda *_: None)  # nothing is run
        patch.setattr(os, "environ", environ(folder))
        patch.chdir(root)
        try:
            sent = send(open_training(root, Console(quiet=True)), SubmitOptions(wanted, copied))
        except UsageError:  # such as a merge under way, or a file that is not there
            pass
        else:
            assert len(sent.submitted) == 2
            for one in sent.submitted:
                assert Git(root).show(one.experiment.input, "params.yaml") is not None
    assert snapshot(root) == before
