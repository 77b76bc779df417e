"""Build the documentation's site, and manual pages in its folder `man`: website/build.py FOLDER

It needs no network. A link that leads nowhere, a page that no table of contents names, or anything else that Sphinx
warns of fails.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FURTHER = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "SECURITY.md")


def build(folder: Path) -> int:
    """Write the site into `folder`; return Sphinx's exit code."""
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "source")
        shutil.copytree(ROOT / "docs", source / "docs")
        for name in FURTHER:
            shutil.copy(ROOT / name, source)
        shutil.copy(HERE / "index.md", source)
        common = ["--fail-on-warning", "--keep-going", "--quiet", "--conf-dir", str(HERE),
                  "--doctree-dir", str(Path(scratch, "doctrees")), str(source)]  # fmt: skip
        site = build_main(["--builder", "html", *common, str(folder)])
        return site or build_main(["--builder", "man", *common, str(folder / "man")])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("website/build.py FOLDER")
    sys.exit(build(Path(sys.argv[1])))
