"""The tutorial works as it stands there, in a new folder and with an empty home."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked_children, forked_python
from tests.shown import looks_like

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("pandas", "sklearn"))), reason="needs pandas and scikit-learn"
)

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
END = "---end-of-block---"


def test_every_block_can_be_copied_and_shows_what_the_page_says(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) > 10
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "work").mkdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("dvc", "mlbutler"):
        forked_python.write_program(programs / name, name)
    folders = (str(programs), str(Path(sys.executable).parent), os.environ["PATH"])
    environ = {
        **forked_children.read_at_start(os.environ), "HOME": str(home), "PATH": os.pathsep.join(folders),
        "TMPDIR": str(tmp_path), "COLUMNS": "120", "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    environ |= {f"GIT_{role}_NAME": "Ada" for role in ("AUTHOR", "COMMITTER")}
    environ |= {f"GIT_{role}_EMAIL": "ada@example.org" for role in ("AUTHOR", "COMMITTER")}
    script = "".join(f"{commands}\necho {END}\n" for commands, _ in blocks)
    done = subprocess.run(
        ["bash", "-e"], input=script, cwd=tmp_path / "work", env=environ, capture_output=True, text=True, check=False
    )
    parts = done.stdout.split(f"{END}\n")
    assert done.returncode == 0, f"{parts[-1]}\n{done.stderr}"
    for (commands, expected), output in zip(blocks, parts, strict=False):
        if expected:
            shown = [line.rstrip() for line in output.strip().splitlines()]
            assert looks_like(shown, expected.strip().splitlines()), f"{commands}\nshows\n{output}"
