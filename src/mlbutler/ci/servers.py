"""CI servers that say in a few variables what they build: a table, a line for each server.

The names are those of the vendors' documents. What a pull request is made of may be hostile text everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from mlbutler.ci.interface import Facts
from mlbutler.frozen import frozen_by_name

# Where forges keep the commits of pull requests: GitHub, Gitea, Bitbucket, GitLab, Gerrit.
PULL_REF = re.compile(
    r"(?:refs/)?(?:remotes/)?(?:origin/)?"
    r"(?:(?:pull|pulls|pr|pull-requests?|merge-requests?|mr)/(?P<number>\d+)(?:/.*)?|changes/\d+/(?P<change>\d+)/\d+)",
    re.IGNORECASE,
)
_NOTHING = ("", "false", "none", "null", "undefined")
_YES, _NO = ("true", "1", "yes"), ("false", "0", "no")
_NO_BRANCH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|arn:.*")


@frozen_by_name
class ServerVariables:
    """One CI server: in which variables it says what.

    Of several names the first that is set counts; ``*`` is any text.

    Attributes:
        marks: variables that it always sets, with their value, '' for any.
        number: the pull request's number, or a text that ends with it; not set, or ``false``, for a branch.
        branch: of a build without a pull request. head_branch, target, head, title, author, url: of a pull request.
        repository, source: of the target and of the head; a pull request whose two differ is a fork's.
        is_fork: true or false. only_forks: set for forks' pull requests alone.
        certain: without the marks of a pull request it builds a branch of the repository itself.
        prefix: stands before the name of a branch. build: where the build is shown.
    """

    name: str
    marks: Mapping[str, str]
    number: tuple[str, ...] = ()
    branch: tuple[str, ...] = ()
    head_branch: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    repository: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    is_fork: tuple[str, ...] = ()
    only_forks: tuple[str, ...] = ()
    title: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    url: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    certain: bool = False
    prefix: str = "refs/heads/"
    build: tuple[str, ...] = ()

    def read_facts(self, environ: Mapping[str, str]) -> Facts | None:
        """Return the facts, None when this is another server."""
        if not all(first_set(environ, (name,)) and value in ("", environ[name]) for name, value in self.marks.items()):
            return None
        build, named, forks = (first_set(environ, names) for names in (self.build, self.number, self.only_forks))
        branch, head_branch = first_set(environ, self.branch), first_set(environ, self.head_branch)
        ref = PULL_REF.fullmatch(branch) or PULL_REF.fullmatch(head_branch)
        if not named and ref is None and not forks:
            tag = first_set(environ, self.tag)
            return Facts(
                ci=self.name, kind="branch", head_branch=None if tag else self._name(branch),
                fork=False if self.certain and branch + tag and not self._hints(environ) else None, build_url=build,
            )  # fmt: skip
        return Facts(
            ci=self.name,
            kind="pull-request",
            number=_number(named) or (_number_of(ref) if ref else None),
            head=first_set(environ, self.head) or None,
            head_branch=self._name(head_branch),
            target_branch=self._name(first_set(environ, self.target)),
            fork=True if forks else self._fork(environ),
            title=first_set(environ, self.title),
            author=first_set(environ, self.author),
            url=first_set(environ, self.url),
            build_url=build,
        )

    def _hints(self, environ: Mapping[str, str]) -> bool:
        """Return whether a variable is set that only pull requests have: a container may be given some of them only."""
        both = {*self.branch, *self.tag, *self.repository, *self.author, *self.build}
        names = (*self.head_branch, *self.target, *self.head, *self.source, *self.title, *self.url)
        return bool(first_set(environ, tuple(name for name in names if name not in both)))

    def _name(self, ref: str) -> str | None:
        """Return a branch's short name, None for what is no branch of the repository."""
        name = ref.removeprefix(self.prefix).removeprefix("refs/heads/")
        return None if PULL_REF.fullmatch(name) or _NO_BRANCH.fullmatch(name) else name or None

    def _fork(self, environ: Mapping[str, str]) -> bool | None:
        told = first_set(environ, self.is_fork, but=()).lower()
        if told in _YES or told in _NO:
            return told in _YES
        return differ(first_set(environ, self.source), first_set(environ, self.repository))


def first_set(environ: Mapping[str, str], names: tuple[str, ...], *, but: tuple[str, ...] = _NOTHING) -> str:
    """Return the value of the first of these variables that is set, '' when none is."""
    values = (environ[name].strip() for one in names for name in _matching(environ, one))
    return next((value for value in values if value.lower() not in ("", *but)), "")


def _matching(environ: Mapping[str, str], name: str) -> Iterator[str]:
    if "*" in name:
        yield from (other for other in sorted(environ) if fnmatchcase(other, name))
    elif name in environ:
        yield name


def differ(source: str, target: str) -> bool | None:
    """Return whether these are two repositories, by address or ``owner/name``; None when one is not known."""
    if not source or not target:
        return None
    one, other = _slug(source), _slug(target)
    # An owner and a name on one side, an address on the other: what both have counts.
    parts = min(len(one), len(other))
    return one[-parts:] != other[-parts:] if parts >= 2 else one != other


def _slug(text: str) -> tuple[str, ...]:
    """Return host and path of a repository's address, or the path alone; case and ``.git`` mean nothing."""
    text = text.strip().lower().rstrip("/").removesuffix(".git")
    if "://" in text:
        parts = urlsplit(text)
        text = f"{parts.netloc.rpartition('@')[2].partition(':')[0]}/{parts.path.strip('/')}"
    elif match := re.fullmatch(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)", text):  # git@host:owner/name
        text = f"{match[1]}/{match[2].strip('/')}"
    return tuple(part for part in text.split("/") if part)


def _number(text: str) -> str | None:
    """Return ``12`` of ``12``, ``pr/12`` and ``https://example.org/o/r/pull/12``; other text as it is."""
    match = re.search(r"(\d+)/?$", text)
    return match[1] if match else text or None


def _number_of(ref: re.Match[str]) -> str:
    return str(ref["number"] or ref["change"])


SERVERS: tuple[ServerVariables, ...] = (
    ServerVariables(
        name="azure-pipelines", marks={"TF_BUILD": ""}, certain=True,
        number=("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER", "SYSTEM_PULLREQUEST_PULLREQUESTID"),
        branch=("BUILD_SOURCEBRANCH",), head_branch=("SYSTEM_PULLREQUEST_SOURCEBRANCH",),
        target=("SYSTEM_PULLREQUEST_TARGETBRANCH",), head=("SYSTEM_PULLREQUEST_SOURCECOMMITID",),
        is_fork=("SYSTEM_PULLREQUEST_ISFORK",),
    ),
    ServerVariables(
        # A pull request from a fork has variables of its own; where the GitHub App builds it, it has none.
        name="circleci", marks={"CIRCLECI": ""},
        number=("CIRCLE_PR_NUMBER", "CIRCLE_PULL_REQUEST"), branch=("CIRCLE_BRANCH",), head_branch=("CIRCLE_BRANCH",),
        only_forks=("CIRCLE_PR_REPONAME", "CIRCLE_PR_USERNAME", "CIRCLE_PR_NUMBER"), url=("CIRCLE_PULL_REQUEST",),
        tag=("CIRCLE_TAG",), author=("CIRCLE_PR_USERNAME",), build=("CIRCLE_BUILD_URL",),
    ),
    ServerVariables(
        name="woodpecker", marks={"CI": "woodpecker"}, certain=True,
        number=("CI_COMMIT_PULL_REQUEST",), branch=("CI_COMMIT_BRANCH",), head_branch=("CI_COMMIT_SOURCE_BRANCH",),
        target=("CI_COMMIT_TARGET_BRANCH",), tag=("CI_COMMIT_TAG",),
        author=("CI_COMMIT_AUTHOR",), build=("CI_PIPELINE_URL",),
    ),
    ServerVariables(
        name="drone", marks={"DRONE": "true"}, certain=True,
        number=("DRONE_PULL_REQUEST",), branch=("DRONE_BRANCH",), head_branch=("DRONE_SOURCE_BRANCH",),
        target=("DRONE_TARGET_BRANCH",), title=("DRONE_PULL_REQUEST_TITLE",), tag=("DRONE_TAG",),
        author=("DRONE_COMMIT_AUTHOR",), build=("DRONE_BUILD_LINK",),
    ),
    ServerVariables(
        name="bitbucket-pipelines", marks={"BITBUCKET_BUILD_NUMBER": "", "BITBUCKET_COMMIT": ""}, certain=True,
        number=("BITBUCKET_PR_ID",), branch=("BITBUCKET_BRANCH",), head_branch=("BITBUCKET_BRANCH",),
        target=("BITBUCKET_PR_DESTINATION_BRANCH",), tag=("BITBUCKET_TAG",),
    ),
    ServerVariables(  # of a pull request it says nothing in the environment
        name="teamcity", marks={"TEAMCITY_VERSION": ""}, branch=("TEAMCITY_BUILD_BRANCH", "BUILD_VCS_BRANCH"),
        build=("BUILD_URL",),
    ),
    ServerVariables(
        name="buildkite", marks={"BUILDKITE": "true"}, certain=True,
        number=("BUILDKITE_PULL_REQUEST",), branch=("BUILDKITE_BRANCH",), head_branch=("BUILDKITE_BRANCH",),
        target=("BUILDKITE_PULL_REQUEST_BASE_BRANCH",), source=("BUILDKITE_PULL_REQUEST_REPO",),
        repository=("BUILDKITE_REPO",), tag=("BUILDKITE_TAG",), author=("BUILDKITE_BUILD_AUTHOR",),
        build=("BUILDKITE_BUILD_URL",),
    ),
    ServerVariables(
        name="travis-ci", marks={"TRAVIS": "true"}, certain=True,
        number=("TRAVIS_PULL_REQUEST",), branch=("TRAVIS_BRANCH",), head_branch=("TRAVIS_PULL_REQUEST_BRANCH",),
        target=("TRAVIS_BRANCH",), head=("TRAVIS_PULL_REQUEST_SHA",), source=("TRAVIS_PULL_REQUEST_SLUG",),
        repository=("TRAVIS_REPO_SLUG",), tag=("TRAVIS_TAG",), build=("TRAVIS_BUILD_WEB_URL",),
    ),
    ServerVariables(
        name="appveyor", marks={"APPVEYOR": ""}, certain=True,
        number=("APPVEYOR_PULL_REQUEST_NUMBER",), branch=("APPVEYOR_REPO_BRANCH",),
        head_branch=("APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH",), target=("APPVEYOR_REPO_BRANCH",),
        head=("APPVEYOR_PULL_REQUEST_HEAD_COMMIT",), source=("APPVEYOR_PULL_REQUEST_HEAD_REPO_NAME",),
        repository=("APPVEYOR_REPO_NAME",), title=("APPVEYOR_PULL_REQUEST_TITLE",), tag=("APPVEYOR_REPO_TAG_NAME",),
    ),
    ServerVariables(
        name="semaphore", marks={"SEMAPHORE": "true"}, certain=True,
        number=("SEMAPHORE_GIT_PR_NUMBER",), branch=("SEMAPHORE_GIT_BRANCH",), head_branch=("SEMAPHORE_GIT_PR_BRANCH",),
        target=("SEMAPHORE_GIT_BRANCH",), head=("SEMAPHORE_GIT_PR_SHA",), source=("SEMAPHORE_GIT_PR_SLUG",),
        repository=("SEMAPHORE_GIT_REPO_SLUG",), title=("SEMAPHORE_GIT_PR_NAME",), tag=("SEMAPHORE_GIT_TAG_NAME",),
    ),
    ServerVariables(
        name="codefresh", marks={"CF_BUILD_ID": ""}, certain=True,
        number=("CF_PULL_REQUEST_NUMBER",), branch=("CF_BRANCH",), head_branch=("CF_BRANCH",),
        target=("CF_PULL_REQUEST_TARGET",), is_fork=("CF_PULL_REQUEST_IS_FORK",), build=("CF_BUILD_URL",),
    ),
    ServerVariables(  # "pr/12", "branch/main", "tag/v1"; of a build by hand the version that was asked for
        name="aws-codebuild", marks={"CODEBUILD_BUILD_ARN": ""},
        branch=("CODEBUILD_WEBHOOK_TRIGGER", "CODEBUILD_SOURCE_VERSION"), head_branch=("CODEBUILD_WEBHOOK_HEAD_REF",),
        target=("CODEBUILD_WEBHOOK_BASE_REF",), prefix="branch/", build=("CODEBUILD_BUILD_URL",),
    ),
    ServerVariables(
        name="bamboo", marks={"bamboo_planKey": ""}, certain=True,
        number=("bamboo_repository_pr_key",),
        branch=("bamboo_planRepository_branchName", "bamboo_repository_branch_name"),
        head_branch=("bamboo_repository_pr_sourceBranch",), target=("bamboo_repository_pr_targetBranch",),
        build=("bamboo_buildResultsUrl", "bamboo_resultsUrl"),
    ),
    ServerVariables(  # the user names the material, and its variables have that name in them
        name="gocd", marks={"GO_PIPELINE_NAME": "", "GO_SERVER_URL": ""},
        number=("GO_SCM_*_PR_ID",), branch=("GO_SCM_*_CURRENT_BRANCH", "GO_MATERIAL_BRANCH"),
        head_branch=("GO_SCM_*_PR_BRANCH",), target=("GO_SCM_*_TARGET_BRANCH",), title=("GO_SCM_*_PR_TITLE",),
        author=("GO_SCM_*_PR_AUTHOR",), url=("GO_SCM_*_PR_URL",),
    ),
    # It sets these for resources; for tasks it sets nothing.
    ServerVariables(name="concourse", marks={"ATC_EXTERNAL_URL": "", "BUILD_ID": ""}),
    ServerVariables(
        name="buddy", marks={"BUDDY_WORKSPACE_ID": ""}, certain=True,
        number=("BUDDY_EXECUTION_PULL_REQUEST_NO", "BUDDY_EXECUTION_PULL_REQUEST_ID"),
        branch=("BUDDY_EXECUTION_BRANCH",), head_branch=("BUDDY_EXECUTION_PULL_REQUEST_HEAD_BRANCH",),
        target=("BUDDY_EXECUTION_PULL_REQUEST_BASE_BRANCH",), tag=("BUDDY_EXECUTION_TAG",),
        build=("BUDDY_EXECUTION_URL",),
    ),
    ServerVariables(
        name="cirrus-ci", marks={"CIRRUS_CI": ""}, certain=True,
        number=("CIRRUS_PR",), branch=("CIRRUS_BRANCH",), head_branch=("CIRRUS_BRANCH",),
        target=("CIRRUS_BASE_BRANCH",), title=("CIRRUS_PR_TITLE",), tag=("CIRRUS_TAG",),
    ),
    ServerVariables(
        name="bitrise", marks={"BITRISE_IO": "true"}, certain=True,
        number=("BITRISE_PULL_REQUEST",), branch=("BITRISE_GIT_BRANCH",), head_branch=("BITRISE_GIT_BRANCH",),
        target=("BITRISEIO_GIT_BRANCH_DEST",), source=("BITRISEIO_PULL_REQUEST_REPOSITORY_URL",),
        repository=("GIT_REPOSITORY_URL",), tag=("BITRISE_GIT_TAG",), build=("BITRISE_BUILD_URL",),
    ),
    ServerVariables(
        name="codemagic", marks={"CM_BUILD_ID": ""}, certain=True,
        number=("CM_PULL_REQUEST_NUMBER",), branch=("CM_BRANCH",), head_branch=("CM_BRANCH",),
        target=("CM_PULL_REQUEST_DEST",), tag=("CM_TAG",),
    ),
    ServerVariables(  # Kubernetes' Prow
        name="prow", marks={"PROW_JOB_ID": ""}, certain=True, number=("PULL_NUMBER",), branch=("PULL_BASE_REF",),
        head_branch=("PULL_HEAD_REF",), target=("PULL_BASE_REF",), head=("PULL_PULL_SHA",),
        title=("PULL_TITLE",),
    ),
)  # fmt: skip
