"""Jenkins, with a branch source (multibranch) and without.

Branch sources set CHANGE_FORK for forks alone. DagsHub's puts a database id into CHANGE_ID and sets neither URL,
title nor author: the number is taken from BRANCH_NAME, ``PR-<number>-HEAD`` or ``-MERGE``, and because it tells so
little, its silence about a fork is no proof that there is none: Git is asked, and what stays unclear is a fork.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from mlbutler.ci.interface import Facts
from mlbutler.ci.servers import ServerVariables

_PULL_REQUEST = re.compile(r"(?:PR|MR)-(\d+)(?:-(?:head|merge))?", re.IGNORECASE)
_SERVER = ("JENKINS_URL", "JENKINS_HOME")
# JENKINS_URL alone is no build: people set it for Jenkins' own command line.
_BUILD = ("BUILD_URL", "BUILD_NUMBER", "BUILD_ID", "JOB_NAME", "BRANCH_NAME", "CHANGE_ID")


def read_facts(environ: Mapping[str, str]) -> Facts | None:
    """Return the facts of a Jenkins build."""
    named = any(environ.get(name) for name in _SERVER) or environ.get("BUILD_TAG", "").startswith("jenkins-")
    if not named or not any(environ.get(name) for name in _BUILD):
        return None
    build_url = environ.get("BUILD_URL", "")
    plain = {key.lower(): value for key, value in environ.items()}
    name = environ.get("BRANCH_NAME", "")
    if environ.get("CHANGE_ID"):
        match = _PULL_REQUEST.fullmatch(name)
        return Facts(
            ci="jenkins",
            kind="pull-request",
            number=match[1] if match else environ["CHANGE_ID"],
            head_branch=environ.get("CHANGE_BRANCH") or None,
            target_branch=environ.get("CHANGE_TARGET") or None,
            fork=True if environ.get("CHANGE_FORK") else None,
            ours_unless_asked=bool(environ.get("CHANGE_URL") and environ.get("CHANGE_BRANCH")),
            head_parent=0,  # "Merging main commit ... into PR head commit ..."
            title=environ.get("CHANGE_TITLE", ""),
            author=environ.get("CHANGE_AUTHOR", ""),
            url=environ.get("CHANGE_URL", ""),
            build_url=build_url,
        )
    if (plugin := next((facts for one in PLUGINS if (facts := one.read_facts(plain)) is not None), None)) is not None:
        return replace(plugin, head_parent=0, build_url=build_url)
    branch = name or environ.get("GIT_LOCAL_BRANCH", "")
    tracking = environ.get("GIT_BRANCH", "").removeprefix("refs/heads/").removeprefix("refs/remotes/")
    tag = bool(environ.get("TAG_NAME"))
    # A branch source builds the repository's branches. A single job builds what it was given, a pull request of a
    # plugin that is not known here among it.
    ours = bool(name) and not _PULL_REQUEST.fullmatch(name)
    return Facts(
        ci="jenkins",
        kind="branch",
        head_branch=None if tag else branch or None,
        tracking_branch=None if tag or tracking == "detached" else tracking or None,
        fork=False if ours else None,
        head_parent=0,
        build_url=build_url,
    )


# Plugins that build pull requests in single jobs, by the variables that each sets. A job may also pass them on under
# names of its own (Generic Webhook Trigger): then Git is asked whose commit it is. Names in small letters, since the
# plugins' documents and the plugins do not agree on theirs.
PLUGINS = (
    ServerVariables(  # GitHub Pull Request Builder
        name="jenkins", marks={"ghprbpullid": ""}, number=("ghprbpullid",), head_branch=("ghprbsourcebranch",),
        target=("ghprbtargetbranch",), head=("ghprbactualcommit",), source=("ghprbauthorrepogiturl",),
        repository=("ghprbghrepository",), title=("ghprbpulltitle",), author=("ghprbpullauthorlogin",),
        url=("ghprbpulllink",),
    ),
    ServerVariables(  # GitHub Integration
        name="jenkins", marks={"github_pr_number": ""}, number=("github_pr_number",),
        head_branch=("github_pr_source_branch",), target=("github_pr_target_branch",), head=("github_pr_head_sha",),
        title=("github_pr_title",), author=("github_pr_author_login",), url=("github_pr_url",),
    ),
    ServerVariables(  # GitLab
        name="jenkins", marks={"gitlabmergerequestiid": ""}, number=("gitlabmergerequestiid",),
        head_branch=("gitlabsourcebranch",), target=("gitlabtargetbranch",), head=("gitlabmergerequestlastcommit",),
        source=("gitlabsourcerepohttpurl", "gitlabsourcerepourl", "gitlabsourcereposshurl"),
        repository=("gitlabtargetrepohttpurl", "gitlabtargetrepourl", "gitlabtargetreposshurl"),
        title=("gitlabmergerequesttitle",), author=("gitlabuserusername", "gitlabusername"),
    ),
    ServerVariables(  # Bitbucket and Stash Pull Request Builder
        name="jenkins", marks={"pullrequestid": "", "sourcebranch": ""}, number=("pullrequestid",),
        head_branch=("sourcebranch",), target=("targetbranch",), head=("sourcecommithash",),
        title=("pullrequesttitle",), author=("pullrequestauthor",),
    ),
    ServerVariables(  # Bitbucket Push and Pull Request
        name="jenkins", marks={"bitbucket_pull_request_id": ""}, number=("bitbucket_pull_request_id",),
        head_branch=("bitbucket_source_branch",), target=("bitbucket_target_branch",),
        url=("bitbucket_pull_request_link",), title=("bitbucket_pull_request_title",), author=("bitbucket_actor",),
    ),
    ServerVariables(  # Gerrit: everybody may upload a change, and none is on a branch before it was reviewed
        name="jenkins", marks={"gerrit_change_number": "", "gerrit_refspec": ""}, number=("gerrit_change_number",),
        target=("gerrit_branch",), head=("gerrit_patchset_revision",), title=("gerrit_change_subject",),
        author=("gerrit_change_owner_name",), url=("gerrit_change_url",),
    ),
)  # fmt: skip
