"""A build with a `mlbutler` that does nothing: it notes what it is asked for, and fails where a test asks for it."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.groovy.jenkins import Built, build

LIBRARY = Path(__file__).parents[2] / "jenkins-library"
_PROGRAM = """#!/bin/sh
words="$*${MLBUTLER_DVC_STAGE:+ @$MLBUTLER_DVC_STAGE}"
echo "begin $words" >> "$CALLS"
case "  $FAILING  " in *"  $words  "*) code=1 ;; *) code=0 ;; esac
[ "$words" != "plan --json" ] || echo "$PLAN"
[ "$words" != "approve --check" ] || [ -z "${APPROVAL-}" ] || echo "$APPROVAL"
[ -d .mlbutler ] || mkdir -p .mlbutler
echo '{}' > .mlbutler/record.json
echo "end $words" >> "$CALLS"
exit "$code"
"""


@dataclass(frozen=True)
class Done:
    """What became of the build, and the lines `begin WORDS` and `end WORDS` of each call, in order.

    WORDS end in ` @STAGE` where a stage has an agent of its own.
    """

    built: Built
    lines: list[str]

    @property
    def begun(self) -> list[str]:
        """What was called, in order."""
        return [line.removeprefix("begin ") for line in self.lines if line.startswith("begin ")]


def stand_in(directory: Path, script: str, failing: Collection[str] = (), plan: str = "", **more: Any) -> Done:
    """Run the Jenkinsfile `script`.

    Args:
        failing: calls that end with exit code 1, such as `test`. plan: what `mlbutler plan --json` prints.
        more: see `tests.groovy.jenkins.build`.
    """
    (directory / "bin").mkdir(parents=True)
    (directory / "Jenkinsfile").write_text(script)
    program = directory / "bin" / "mlbutler"
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    calls = directory / "calls.log"
    calls.touch()
    environ = {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(directory), "CHANGE_ID": "7",
        "CALLS": str(calls), "FAILING": "  ".join(failing), "PLAN": plan, **more.pop("environ", {}),
    }  # fmt: skip
    checkout = "git init -q --template= ."
    done = build(directory, directory / "Jenkinsfile", checkout, environ, libraries=[LIBRARY], **more)
    return Done(done, calls.read_text().splitlines())
