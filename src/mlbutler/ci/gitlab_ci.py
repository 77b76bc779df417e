"""GitLab CI: branch pipelines, merge request pipelines, and merged results pipelines."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.ci.interface import Facts
from mlbutler.ci.servers import ServerVariables

# A pull request of a repository elsewhere that GitLab runs pipelines for.
_EXTERNAL = ServerVariables(
    name="gitlab-ci", marks={"CI_EXTERNAL_PULL_REQUEST_IID": ""}, number=("CI_EXTERNAL_PULL_REQUEST_IID",),
    head_branch=("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME",), head=("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA",),
    target=("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME",), source=("CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY",),
    repository=("CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY",), build=("CI_JOB_URL",),
)  # fmt: skip


# Set for merge requests and pull requests alone: where the number is missing, somebody passed on half of the variables.
_OF_MERGES = ("CI_MERGE_REQUEST_ID", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY")


def read_facts(environ: Mapping[str, str]) -> Facts | None:
    """Return the facts of a GitLab job."""
    if not environ.get("GITLAB_CI"):
        return None
    build_url = environ.get("CI_JOB_URL", "")
    number = environ.get("CI_MERGE_REQUEST_IID")
    if not number:
        if environ.get("CI_EXTERNAL_PULL_REQUEST_IID"):
            return _EXTERNAL.read_facts(environ)
        branch = environ.get("CI_COMMIT_BRANCH")
        named = branch or environ.get("CI_COMMIT_TAG")  # set in no pipeline of a merge request
        fork = False if named and not any(environ.get(name) for name in _OF_MERGES) else None
        ours = environ.get("CI_COMMIT_SHA") or None  # of another commit that a job checks out it says nothing
        return Facts(
            ci="gitlab-ci", kind="branch", head_branch=branch or None, fork=fork, ours_at=ours, build_url=build_url
        )
    source, target = environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID"), environ.get("CI_MERGE_REQUEST_PROJECT_ID")
    project = environ.get("CI_MERGE_REQUEST_PROJECT_URL", "")
    return Facts(
        ci="gitlab-ci",
        kind="pull-request",
        number=number,
        # Set in merged results pipelines alone, where CI_COMMIT_SHA is GitLab's merge.
        head=environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or None,
        head_branch=environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or None,
        target_branch=environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") or None,
        fork=(source != target) if source and target else None,
        title=environ.get("CI_MERGE_REQUEST_TITLE", ""),
        author=environ.get("GITLAB_USER_LOGIN", ""),
        url=f"{project}/-/merge_requests/{number}" if project else "",
        build_url=build_url,
    )
