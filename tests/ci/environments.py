"""What CI servers set for a build, by the vendors' documents, and what it is.

`at` says what is checked out: ``feature`` and ``main`` are branches of our repository, ``fork`` is a commit that none
of them holds, ``merge`` is git's merge of feature into main, ``evil merge`` another commit with the same parents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OURS, FORK = "feature", "fork"
REPO = {"full_name": "team/project"}
THEIRS = {"full_name": "mallory/project"}


@dataclass(frozen=True)
class Build:
    """One build: where, its environment, what is checked out, and what that is.

    Attributes:
        expected: the CI server, kind, number and head branch. fork: is it to be taken for a fork's?
    """

    name: str
    environ: dict[str, str]
    at: str
    expected: tuple[str, str, str | None, str | None]
    fork: bool
    event: dict[str, Any] | None = None


def pull(ci: str, number: str | None, branch: str | None = "feature") -> tuple[str, str, str | None, str | None]:
    return (ci, "pull-request", number, branch)


def branch(ci: str, name: str | None = "feature") -> tuple[str, str, str | None, str | None]:
    return (ci, "branch", None, name)


def _github(name: str, **more: str) -> dict[str, str]:
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_REPOSITORY": "team/project",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_RUN_ID": "77",
        **more,
    }


def _head(source: dict[str, str] | None, ref: str = "feature") -> dict[str, Any]:
    return {
        "number": 12,
        "pull_request": {
            "number": 12,
            "html_url": "https://github.com/team/project/pull/12",
            "title": "t",
            "user": {"login": "ada"},
            "head": {"ref": ref, "sha": "", "repo": source},
            "base": {"ref": "main", "repo": REPO},
        },
    }


def _run(event: str, source: dict[str, str]) -> dict[str, Any]:
    pulls = [{"number": 12, "base": {"ref": "main"}}] if source is REPO else []
    return {
        "action": "completed",
        "workflow_run": {
            "event": event,
            "head_branch": "feature",
            "head_sha": "",
            "head_repository": source,
            "repository": REPO,
            "pull_requests": pulls,
        },
    }


_JENKINS = {
    "JENKINS_URL": "http://j/",
    "BUILD_URL": "http://j/job/x/7/",
    "BUILD_NUMBER": "7",
    "JOB_NAME": "x",
    "CI": "true",
}
_MULTIBRANCH = _JENKINS | {
    "BRANCH_NAME": "PR-12",
    "CHANGE_ID": "12",
    "CHANGE_BRANCH": "feature",
    "CHANGE_TARGET": "main",
    "CHANGE_URL": "https://github.com/team/project/pull/12",
}
_GHPRB = _JENKINS | {
    "ghprbPullId": "12",
    "ghprbSourceBranch": "feature",
    "ghprbTargetBranch": "main",
    "sha1": "origin/pr/12/merge",
    "ghprbPullAuthorLogin": "ada",
    "ghprbGhRepository": "team/project",
    "ghprbPullTitle": "t",
    "GIT_BRANCH": "origin/pr/12/merge",
}
_GITLAB_PLUGIN = _JENKINS | {
    "gitlabMergeRequestIid": "12",
    "gitlabMergeRequestId": "9012",
    "gitlabSourceBranch": "feature",
    "gitlabTargetBranch": "main",
    "gitlabActionType": "MERGE",
    "gitlabTargetRepoHttpUrl": "https://g.example/team/project.git",
}
_GITLAB = {
    "CI": "true",
    "GITLAB_CI": "true",
    "CI_MERGE_REQUEST_IID": "12",
    "CI_MERGE_REQUEST_PROJECT_ID": "1",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
}
_AZURE = {
    "TF_BUILD": "True",
    "BUILD_REASON": "PullRequest",
    "BUILD_SOURCEBRANCH": "refs/pull/12/merge",
    "SYSTEM_PULLREQUEST_PULLREQUESTID": "90012",
    "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER": "12",
    "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/feature",
    "SYSTEM_PULLREQUEST_TARGETBRANCH": "main",
}
_CIRCLE = {
    "CI": "true",
    "CIRCLECI": "true",
    "CIRCLE_BRANCH": "feature",
    "CIRCLE_SHA1": "1",
    "CIRCLE_BUILD_URL": "https://circleci.com/gh/team/project/7",
}
_DRONE = {
    "CI": "true",
    "DRONE": "true",
    "DRONE_REPO": "team/project",
    "DRONE_BRANCH": "main",
    "DRONE_BUILD_EVENT": "pull_request",
    "DRONE_PULL_REQUEST": "12",
    "DRONE_SOURCE_BRANCH": "feature",
    "DRONE_TARGET_BRANCH": "main",
    "DRONE_COMMIT_REF": "refs/pull/12/head",
}
_WOODPECKER = {
    "CI": "woodpecker",
    "CI_REPO": "team/project",
    "CI_PIPELINE_EVENT": "pull_request",
    "CI_COMMIT_BRANCH": "main",
    "CI_COMMIT_PULL_REQUEST": "12",
    "CI_COMMIT_SOURCE_BRANCH": "feature",
    "CI_COMMIT_TARGET_BRANCH": "main",
}
_BITBUCKET = {
    "CI": "true",
    "BITBUCKET_BUILD_NUMBER": "7",
    "BITBUCKET_COMMIT": "1",
    "BITBUCKET_BRANCH": "feature",
    "BITBUCKET_REPO_FULL_NAME": "team/project",
}
_BUILDKITE = {
    "CI": "true",
    "BUILDKITE": "true",
    "BUILDKITE_BRANCH": "feature",
    "BUILDKITE_PULL_REQUEST": "12",
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "main",
    "BUILDKITE_REPO": "git@github.com:team/project.git",
    "BUILDKITE_BUILD_URL": "https://buildkite.com/team/x/builds/7",
}
_TRAVIS = {
    "CI": "true",
    "CONTINUOUS_INTEGRATION": "true",
    "TRAVIS": "true",
    "TRAVIS_BRANCH": "main",
    "TRAVIS_REPO_SLUG": "team/project",
    "TRAVIS_PULL_REQUEST": "12",
    "TRAVIS_PULL_REQUEST_BRANCH": "feature",
}
_APPVEYOR = {
    "CI": "True",
    "APPVEYOR": "True",
    "APPVEYOR_REPO_NAME": "team/project",
    "APPVEYOR_REPO_BRANCH": "main",
    "APPVEYOR_PULL_REQUEST_NUMBER": "12",
    "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH": "feature",
}
_SEMAPHORE = {
    "CI": "true",
    "SEMAPHORE": "true",
    "SEMAPHORE_GIT_REF_TYPE": "pull-request",
    "SEMAPHORE_GIT_BRANCH": "main",
    "SEMAPHORE_GIT_PR_NUMBER": "12",
    "SEMAPHORE_GIT_PR_BRANCH": "feature",
    "SEMAPHORE_GIT_REPO_SLUG": "team/project",
}
_CODEFRESH = {
    "CI": "true",
    "CF_BUILD_ID": "5f",
    "CF_BRANCH": "feature",
    "CF_PULL_REQUEST_NUMBER": "12",
    "CF_PULL_REQUEST_TARGET": "main",
    "CF_BUILD_URL": "https://g.codefresh.io/build/5f",
}
_CODEBUILD = {"CODEBUILD_BUILD_ARN": "arn:aws:codebuild:eu:1:build/x", "CODEBUILD_BUILD_ID": "x:1", "CI": "true"}
_BAMBOO = {
    "bamboo_planKey": "TEAM-X",
    "bamboo_buildNumber": "7",
    "bamboo_planRepository_branchName": "feature",
    "bamboo_buildResultsUrl": "https://b.example/browse/TEAM-X-7",
}
_GOCD = {"GO_SERVER_URL": "https://go.example/go", "GO_PIPELINE_NAME": "x", "GO_PIPELINE_COUNTER": "7"}
_GERRIT = _JENKINS | {
    "GERRIT_CHANGE_NUMBER": "9012",
    "GERRIT_REFSPEC": "refs/changes/12/9012/1",
    "GERRIT_BRANCH": "main",
}

BUILDS: tuple[Build, ...] = (
    # Jenkins, multibranch
    Build("jenkins pull request", _MULTIBRANCH, OURS, pull("jenkins", "12"), False),
    Build("jenkins fork", _MULTIBRANCH | {"CHANGE_FORK": "mallory"}, FORK, pull("jenkins", "12"), True),
    Build("jenkins fork that is not reported", _MULTIBRANCH, FORK, pull("jenkins", "12"), True),
    Build("jenkins merge", _MULTIBRANCH, "merge", pull("jenkins", "12"), False),
    Build(
        "dagshub fork",
        {k: v for k, v in _MULTIBRANCH.items() if k != "CHANGE_URL"}
        | {"CHANGE_ID": "918273", "BRANCH_NAME": "PR-12-MERGE"},
        "evil merge",
        pull("jenkins", "12"),
        True,
    ),
    Build("jenkins branch", _JENKINS | {"BRANCH_NAME": "feature"}, OURS, branch("jenkins"), False),
    # Jenkins, single jobs
    Build(
        "ghprb",
        _GHPRB | {"ghprbAuthorRepoGitUrl": "https://github.com/team/project.git"},
        "merge",
        pull("jenkins", "12"),
        False,
    ),
    Build(
        "ghprb fork",
        _GHPRB | {"ghprbAuthorRepoGitUrl": "https://github.com/mallory/project.git"},
        FORK,
        pull("jenkins", "12"),
        True,
    ),
    Build("ghprb without the author's repository", _GHPRB, FORK, pull("jenkins", "12"), True),
    Build(
        "gitlab plugin",
        _GITLAB_PLUGIN | {"gitlabSourceRepoHttpUrl": "https://g.example/team/project.git"},
        OURS,
        pull("jenkins", "12"),
        False,
    ),
    Build(
        "gitlab plugin fork",
        _GITLAB_PLUGIN | {"gitlabSourceRepoURL": "git@g.example:mallory/project.git"},
        FORK,
        pull("jenkins", "12"),
        True,
    ),
    Build(
        "gitlab plugin push",
        _JENKINS | {"gitlabActionType": "PUSH", "gitlabSourceBranch": "feature", "GIT_BRANCH": "origin/feature"},
        OURS,
        branch("jenkins"),
        False,
    ),
    Build(
        "bitbucket pull request builder fork",
        _JENKINS
        | {"pullRequestId": "12", "sourceBranch": "feature", "targetBranch": "main", "repositoryOwner": "mallory"},
        FORK,
        pull("jenkins", "12"),
        True,
    ),
    Build(
        "bitbucket push and pull request",
        _JENKINS
        | {"BITBUCKET_PULL_REQUEST_ID": "12", "BITBUCKET_SOURCE_BRANCH": "feature", "BITBUCKET_TARGET_BRANCH": "main"},
        OURS,
        pull("jenkins", "12"),
        False,
    ),
    Build(
        "bitbucket push and pull request fork",
        _JENKINS
        | {"BITBUCKET_PULL_REQUEST_ID": "12", "BITBUCKET_SOURCE_BRANCH": "feature", "BITBUCKET_TARGET_BRANCH": "main"},
        FORK,
        pull("jenkins", "12"),
        True,
    ),
    Build(
        "github integration fork",
        _JENKINS | {"GITHUB_PR_NUMBER": "12", "GITHUB_PR_SOURCE_BRANCH": "feature", "GITHUB_PR_TARGET_BRANCH": "main"},
        FORK,
        pull("jenkins", "12"),
        True,
    ),
    Build(
        "generic webhook fork",
        _JENKINS | {"pr_from": "mallory", "GIT_BRANCH": "origin/pr/12/head"},
        FORK,
        branch("jenkins", "pr/12/head"),
        True,
    ),
    Build(
        "generic webhook",
        _JENKINS | {"ref": "refs/heads/feature", "GIT_BRANCH": "origin/feature"},
        OURS,
        branch("jenkins"),
        False,
    ),
    Build("gerrit", _GERRIT, FORK, pull("jenkins", "9012", None), True),
    # GitHub's language
    Build(
        "github pull request",
        _github("pull_request", GITHUB_REF="refs/pull/12/merge"),
        "merge",
        pull("github-actions", "12"),
        False,
        _head(REPO),
    ),
    Build("github fork", _github("pull_request"), FORK, pull("github-actions", "12"), True, _head(THEIRS)),
    Build("github fork that is gone", _github("pull_request"), FORK, pull("github-actions", "12"), True, _head(None)),
    Build(
        "github target with the fork's head",
        _github("pull_request_target"),
        FORK,
        pull("github-actions", "12"),
        True,
        _head(THEIRS),
    ),
    Build(
        "github comment, fork's head",
        _github("issue_comment", GITHUB_REF_NAME="main", GITHUB_SHA="main"),
        FORK,
        pull("github-actions", "12", None),
        True,
        {"issue": {"number": 12, "pull_request": {"url": "x"}}},
    ),
    Build(
        "github comment, our head",
        _github("issue_comment", GITHUB_REF_NAME="main", GITHUB_SHA="main"),
        OURS,
        pull("github-actions", "12"),
        False,
        {"issue": {"number": 12, "pull_request": {"url": "x"}}},
    ),
    Build(
        "github workflow run after a fork's",
        _github("workflow_run", GITHUB_SHA="main"),
        FORK,
        pull("github-actions", None),
        True,
        _run("pull_request", THEIRS),
    ),
    Build(
        "github workflow run after ours",
        _github("workflow_run", GITHUB_SHA="main"),
        OURS,
        pull("github-actions", "12"),
        False,
        _run("pull_request", REPO),
    ),
    Build(
        "github workflow run after a fork's push",
        _github("workflow_run", GITHUB_SHA="main"),
        FORK,
        pull("github-actions", None),
        True,
        _run("push", THEIRS),
    ),
    Build(
        "github push",
        _github("push", GITHUB_REF_NAME="feature", GITHUB_REF_TYPE="branch", GITHUB_SHA="feature"),
        OURS,
        branch("github-actions"),
        False,
        {},
    ),
    Build(
        "github by hand, fork's head",
        _github("workflow_dispatch", GITHUB_REF_NAME="main", GITHUB_SHA="main"),
        FORK,
        branch("github-actions", "main"),
        True,
        {},
    ),
    Build(
        "gitea fork",
        _github("pull_request", GITEA_ACTIONS="true"),
        FORK,
        pull("gitea-actions", "12"),
        True,
        _head(THEIRS),
    ),
    Build(
        "forgejo",
        _github("pull_request", FORGEJO_ACTIONS="true"),
        OURS,
        pull("forgejo-actions", "12"),
        False,
        _head(REPO),
    ),
    # GitLab
    Build("gitlab", _GITLAB | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1"}, OURS, pull("gitlab-ci", "12"), False),
    Build("gitlab fork", _GITLAB | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2"}, FORK, pull("gitlab-ci", "12"), True),
    Build(
        "gitlab external fork",
        {
            "GITLAB_CI": "true",
            "CI_EXTERNAL_PULL_REQUEST_IID": "12",
            "CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY": "mallory/project",
            "CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY": "team/project",
            "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME": "feature",
        },
        FORK,
        pull("gitlab-ci", "12"),
        True,
    ),
    # the others
    Build("azure", _AZURE | {"SYSTEM_PULLREQUEST_ISFORK": "False"}, OURS, pull("azure-pipelines", "12"), False),
    Build("azure fork", _AZURE | {"SYSTEM_PULLREQUEST_ISFORK": "True"}, FORK, pull("azure-pipelines", "12"), True),
    Build(
        "azure by hand on a pull request",
        {"TF_BUILD": "True", "BUILD_REASON": "Manual", "BUILD_SOURCEBRANCH": "refs/pull/12/merge"},
        FORK,
        pull("azure-pipelines", "12", None),
        True,
    ),
    Build(
        "azure branch",
        {"TF_BUILD": "True", "BUILD_SOURCEBRANCH": "refs/heads/feature"},
        OURS,
        branch("azure-pipelines"),
        False,
    ),
    Build(
        "circleci",
        _CIRCLE | {"CIRCLE_PULL_REQUEST": "https://github.com/team/project/pull/12"},
        OURS,
        pull("circleci", "12"),
        False,
    ),
    Build(
        "circleci fork",
        _CIRCLE
        | {
            "CIRCLE_BRANCH": "pull/12",
            "CIRCLE_PR_NUMBER": "12",
            "CIRCLE_PR_USERNAME": "mallory",
            "CIRCLE_PR_REPONAME": "project",
        },
        FORK,
        pull("circleci", "12", None),
        True,
    ),
    Build("circleci fork that is not reported", _CIRCLE, FORK, branch("circleci"), True),
    Build("drone", _DRONE, OURS, pull("drone", "12"), False),
    Build("drone fork", _DRONE, FORK, pull("drone", "12"), True),
    Build(
        "drone push",
        {"DRONE": "true", "DRONE_BRANCH": "feature", "DRONE_BUILD_EVENT": "push", "CI": "true"},
        OURS,
        branch("drone"),
        False,
    ),
    Build("woodpecker fork", _WOODPECKER, FORK, pull("woodpecker", "12"), True),
    Build(
        "woodpecker push",
        {"CI": "woodpecker", "CI_COMMIT_BRANCH": "feature", "CI_PIPELINE_EVENT": "push"},
        OURS,
        branch("woodpecker"),
        False,
    ),
    Build(
        "bitbucket pipelines",
        _BITBUCKET | {"BITBUCKET_PR_ID": "12", "BITBUCKET_PR_DESTINATION_BRANCH": "main"},
        OURS,
        pull("bitbucket-pipelines", "12"),
        False,
    ),
    Build("bitbucket pipelines branch", _BITBUCKET, OURS, branch("bitbucket-pipelines"), False),
    Build(
        "teamcity branch", {"TEAMCITY_VERSION": "2025.11", "BUILD_NUMBER": "7"}, OURS, branch("teamcity", None), False
    ),
    Build("teamcity fork", {"TEAMCITY_VERSION": "2025.11", "BUILD_NUMBER": "7"}, FORK, branch("teamcity", None), True),
    Build(
        "buildkite",
        _BUILDKITE | {"BUILDKITE_PULL_REQUEST_REPO": "https://github.com/team/project.git"},
        OURS,
        pull("buildkite", "12"),
        False,
    ),
    Build(
        "buildkite fork",
        _BUILDKITE
        | {
            "BUILDKITE_PULL_REQUEST_REPO": "git://github.com/mallory/project.git",
            "BUILDKITE_BRANCH": "mallory:feature",
        },
        FORK,
        pull("buildkite", "12", "mallory:feature"),
        True,
    ),
    Build(
        "buildkite branch",
        {"BUILDKITE": "true", "BUILDKITE_BRANCH": "feature", "BUILDKITE_PULL_REQUEST": "false"},
        OURS,
        branch("buildkite"),
        False,
    ),
    Build("travis", _TRAVIS | {"TRAVIS_PULL_REQUEST_SLUG": "team/project"}, OURS, pull("travis-ci", "12"), False),
    Build(
        "travis fork", _TRAVIS | {"TRAVIS_PULL_REQUEST_SLUG": "mallory/project"}, FORK, pull("travis-ci", "12"), True
    ),
    Build(
        "travis branch",
        _TRAVIS | {"TRAVIS_PULL_REQUEST": "false", "TRAVIS_BRANCH": "feature"},
        OURS,
        branch("travis-ci"),
        False,
    ),
    Build(
        "appveyor",
        _APPVEYOR | {"APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME": "team/project"},
        OURS,
        pull("appveyor", "12"),
        False,
    ),
    Build(
        "appveyor fork",
        _APPVEYOR | {"APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME": "mallory/project"},
        FORK,
        pull("appveyor", "12"),
        True,
    ),
    Build("semaphore", _SEMAPHORE | {"SEMAPHORE_GIT_PR_SLUG": "team/project"}, OURS, pull("semaphore", "12"), False),
    Build(
        "semaphore fork", _SEMAPHORE | {"SEMAPHORE_GIT_PR_SLUG": "mallory/project"}, FORK, pull("semaphore", "12"), True
    ),
    Build("codefresh", _CODEFRESH | {"CF_PULL_REQUEST_IS_FORK": "false"}, OURS, pull("codefresh", "12"), False),
    Build("codefresh fork", _CODEFRESH | {"CF_PULL_REQUEST_IS_FORK": "true"}, FORK, pull("codefresh", "12"), True),
    Build(
        "codebuild",
        _CODEBUILD
        | {
            "CODEBUILD_WEBHOOK_TRIGGER": "pr/12",
            "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/feature",
            "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
        },
        OURS,
        pull("aws-codebuild", "12"),
        False,
    ),
    Build(
        "codebuild fork",
        _CODEBUILD
        | {
            "CODEBUILD_WEBHOOK_TRIGGER": "pr/12",
            "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/feature",
            "CODEBUILD_WEBHOOK_BASE_REF": "refs/heads/main",
        },
        FORK,
        pull("aws-codebuild", "12"),
        True,
    ),
    Build(
        "codebuild by hand",
        _CODEBUILD | {"CODEBUILD_SOURCE_VERSION": "pr/12"},
        FORK,
        pull("aws-codebuild", "12", None),
        True,
    ),
    Build(
        "codebuild push",
        _CODEBUILD | {"CODEBUILD_WEBHOOK_TRIGGER": "branch/feature"},
        OURS,
        branch("aws-codebuild"),
        False,
    ),
    Build(
        "bamboo",
        _BAMBOO
        | {
            "bamboo_repository_pr_key": "12",
            "bamboo_repository_pr_sourceBranch": "feature",
            "bamboo_repository_pr_targetBranch": "main",
        },
        OURS,
        pull("bamboo", "12"),
        False,
    ),
    Build(
        "bamboo fork",
        _BAMBOO
        | {
            "bamboo_repository_pr_key": "12",
            "bamboo_repository_pr_sourceBranch": "feature",
            "bamboo_repository_pr_targetBranch": "main",
        },
        FORK,
        pull("bamboo", "12"),
        True,
    ),
    Build("bamboo branch", _BAMBOO, OURS, branch("bamboo"), False),
    Build(
        "gocd fork",
        _GOCD | {"GO_SCM_X_PR_ID": "12", "GO_SCM_X_PR_BRANCH": "mallory:feature", "GO_SCM_X_TARGET_BRANCH": "main"},
        FORK,
        pull("gocd", "12", "mallory:feature"),
        True,
    ),
    Build("gocd branch", _GOCD | {"GO_MATERIAL_BRANCH": "feature"}, OURS, branch("gocd"), False),
    Build(
        "concourse",
        {"ATC_EXTERNAL_URL": "https://c.example", "BUILD_ID": "7", "BUILD_NAME": "1"},
        FORK,
        branch("concourse", None),
        True,
    ),
    Build(
        "cirrus fork",
        {
            "CI": "true",
            "CIRRUS_CI": "true",
            "CIRRUS_PR": "12",
            "CIRRUS_BRANCH": "pull/12",
            "CIRRUS_BASE_BRANCH": "main",
        },
        FORK,
        pull("cirrus-ci", "12", None),
        True,
    ),
    Build(
        "bitrise fork",
        {
            "CI": "true",
            "BITRISE_IO": "true",
            "BITRISE_PULL_REQUEST": "12",
            "BITRISE_GIT_BRANCH": "feature",
            "BITRISEIO_GIT_BRANCH_DEST": "main",
            "GIT_REPOSITORY_URL": "git@github.com:team/project.git",
            "BITRISEIO_PULL_REQUEST_REPOSITORY_URL": "https://github.com/mallory/project.git",
        },
        FORK,
        pull("bitrise", "12"),
        True,
    ),
    Build(
        "codemagic fork",
        {
            "CI": "true",
            "CM_BUILD_ID": "5f",
            "CM_PULL_REQUEST_NUMBER": "12",
            "CM_BRANCH": "feature",
            "CM_PULL_REQUEST_DEST": "main",
        },
        FORK,
        pull("codemagic", "12"),
        True,
    ),
    Build(
        "buddy",
        {"CI": "true", "BUDDY": "true", "BUDDY_WORKSPACE_ID": "3", "BUDDY_EXECUTION_BRANCH": "feature"},
        OURS,
        branch("buddy"),
        False,
    ),
    Build(
        "prow fork",
        {"CI": "true", "PROW_JOB_ID": "5f", "PULL_NUMBER": "12", "PULL_BASE_REF": "main"},
        FORK,
        pull("prow", "12", None),
        True,
    ),
    # known to nobody
    Build("some CI", {"CI": "true"}, OURS, branch("unknown", None), True),
    Build("some other CI", {"CI": "false", "BUILD_ID": "7"}, OURS, branch("unknown", None), True),
    Build("a laptop", {}, OURS, ("local", "local", None, None), False),
    Build(
        "a laptop with Jenkins' command line", {"JENKINS_URL": "http://j/"}, OURS, ("local", "local", None, None), False
    ),
)
