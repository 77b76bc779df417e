"""A CI server that mlbutler does not know: nothing says whose change it builds."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.ci.interface import Facts
from mlbutler.ci.servers import SERVERS, first_set
from mlbutler.variables import TRUST

# What CI servers set, each some of them. CI=false is a way to ask tools for less strictness, on CI servers too.
_MARKS = (
    "CI", "CONTINUOUS_INTEGRATION", "CI_NAME", "CI_BUILD_ID", "CI_BUILD_NUMBER", "CI_JOB_ID", "CI_PIPELINE_ID",
    "CI_APP_ID", "BUILD_ID", "BUILD_NUMBER", "BUILD_TAG", "RUN_ID", "JOB_ID",
)  # fmt: skip
# What known ones say of a build, without what they are known by: a container was given half of the variables.
_HALVES = (
    "CHANGE_ID", "CHANGE_BRANCH", "GITHUB_EVENT_NAME", "GITHUB_RUN_ID", "CI_COMMIT_SHA", "CI_MERGE_REQUEST_IID",
    "CI_EXTERNAL_PULL_REQUEST_IID", *(name for one in SERVERS for name in one.marks),
    *(name for one in SERVERS for name in (*one.number, *one.source, *one.is_fork, *one.branch) if "*" not in name),
)  # fmt: skip


def read_facts(environ: Mapping[str, str]) -> Facts | None:
    """Return the facts of a build of which nothing else is known; no change is trusted there."""
    mark = next((name for name in (*_MARKS, *_HALVES) if first_set(environ, (name,))), None)
    if mark is None:
        return None
    return Facts(
        ci="unknown",
        kind="branch",
        fork=True,
        assumed=True,
        note=f"this looks like a CI server ({mark} is set), and mlbutler does not know which: the change is taken for "
        f"a fork's, until {TRUST}=trusted in the server's own settings says otherwise",
    )
