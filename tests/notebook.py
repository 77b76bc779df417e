"""Run a text of Python as a notebook does: ``python -m tests.notebook FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    exec(compile(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[1], "exec"), {"__name__": "__main__"})
