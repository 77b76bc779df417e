"""The ways to run the steps on Jenkins: the generated Jenkinsfile, the shared library on one agent and on several."""

from __future__ import annotations

import json

from mlbutler.scaffold.detected import DetectedProject, Remote
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files

PLAN = json.dumps({"result": {"outcome": "passed", "stages": [
    {"name": "one", "state": "stale", "label": "", "after": []},
]}})  # fmt: skip
"""What `mlbutler plan --json` says: one stale stage."""


def jenkinsfile(gate_as: str = "fail") -> str:
    """The generated Jenkinsfile for agents on which mlbutler is installed."""
    found = DetectedProject("x", remote=Remote("shared", "http"), forge="github")
    return render_files(found, ScaffoldOptions(agent="label", label="docker", gate_as=gate_as))["Jenkinsfile"]


GENERATED, LIBRARY, SEVERAL_AGENTS = "Jenkinsfile", "library", "library, several agents"
FORMS = {
    GENERATED: jenkinsfile(),
    LIBRARY: "mlbutlerPipeline(remote: 'http')",
    SEVERAL_AGENTS: "mlbutlerPipeline(remote: 'http', labels: ['gpu'])",
}
UNSTABLE = {GENERATED: jenkinsfile("unstable"), LIBRARY: "mlbutlerPipeline(remote: 'http', gateAs: 'unstable')"}
"""Those in which a failed gate makes the build unstable."""
