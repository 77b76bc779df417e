"""The plugins of the local controller, pinned.

The versions are those of Jenkins' own bill of materials for the 2.568 line (`jenkinsci/bom`, bom-2.568.x over
bom-weekly, summer 2026), which its maintainers test together. What these depend on is resolved when the image is
built, with ``--latest false``: the oldest version that is enough.
"""

from __future__ import annotations

from mlbutler.jenkins.server.versions import numbers

CONTROLLER = "2.568.2-lts-jdk21"

_ALWAYS = {
    "configuration-as-code": "2114.v67a_a_18696b_8f",
    "job-dsl": "1.93",
    "workflow-aggregator": "608.v67378e9d3db_1",
    "workflow-job": "1571.1580.v18e46842c125",
    "workflow-multibranch": "841.vec5b_9e1806ec",
    "pipeline-model-definition": "2.2291.v2934911987b_6",
    "pipeline-stage-view": "2.41",
    "git": "5.10.1",
    "branch-api": "2.1280.v0d4e5b_b_460ef",
    "credentials": "1506.v948b_b_b_7dec44",
    "credentials-binding": "728.v902a_273b_8947",
    "plain-credentials": "199.v9f8e1f741799",
    "ssh-credentials": "372.va_250881b_08cd",
    "ssh-slaves": "3.1097.v868116049892",
    "ssh-agent": "413.v1fd573533a_ec",
    "matrix-auth": "3.3",
    "docker-workflow": "647.vf474049b_b_303",
    "durable-task": "686.v80ff80875b_82",
    "junit": "1418.v67a_81935603c",
    "htmlpublisher": "427.1",
    # Not in the bill of materials: a release of the same months.
    "warnings-ng": "13.10097.v277a_958a_b_c09",
    "timestamper": "1.30",
    "ws-cleanup": "0.49",
    "lockable-resources": "1539.v4db_b_fc1cc115",
    "email-ext": "2038.v7b_8817a_499d9",
}
_SOURCES = {
    "github": {"github-branch-source": "1983.vfa_27ed961853", "github-checks": "679.v74133da_b_435a_"},
    "gitlab": {"gitlab-branch-source": "743.ve0c8154a_8da_b_"},
    "gitea": {"gitea": "273.vb_78d13f6d9a_d"},
    "bitbucket": {"cloudbees-bitbucket-branch-source": "937.3.6"},
    "dagshub": {"dagshub-branch-source": "0.1"},
    "git": {},
}
# Without these a controller cannot be configured at all, no matter how its plugins were installed.
NEEDED = ("configuration-as-code", "job-dsl", "workflow-aggregator", "git", "matrix-auth")


def plugins(source: str) -> dict[str, str]:
    """Return plugin name -> version for a controller whose job takes its branches from `source`."""
    return dict(sorted((_ALWAYS | _SOURCES[source]).items()))


def plugins_txt(source: str, jenkins: str = CONTROLLER) -> str:
    """Return these plugins as the file that ``jenkins-plugin-cli`` reads.

    Args:
        jenkins: the version that they are for. One older than `CONTROLLER` cannot load the pinned versions: the names
            stand alone then, and the program takes the newest versions for that Jenkins.
    """
    pinned = numbers(jenkins)[:2] >= numbers(CONTROLLER)[:2]
    return "".join(f"{name}:{version}\n" if pinned else f"{name}\n" for name, version in plugins(source).items())
