"""The multibranch job as a Job DSL script, for each kind of branch source; and the job that runs experiments.

The source is written as the XML that Jenkins itself stores. Job DSL's own words for it depend on the versions of
the plugins; the class names do not.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlbutler.jenkins.server.model import JenkinsServer

# A branch source without a constant id would forget all builds whenever the configuration is applied again.
_NAMESPACE = uuid.UUID("5f9d2a54-6a0e-4f0f-9a53-2f3c1a1f8f0b")
_HEAD = 2  # build the pull request's head, not a merge: results can be committed onto it
_NOT_ALSO_PULL_REQUESTS = 1


def job_dsl(server: JenkinsServer, credentials: str | None) -> str:
    """Return the script.

    Args:
        credentials: id of the credential to read the repository with, None to read without.
    """
    repository = server.repository
    lines = [
        f"multibranchPipelineJob({groovy_literal(server.name)}) {{",
        f"    description({groovy_literal(f'Pull requests of {repository.url}, judged by mlbutler')})",
        "    factory {",
        f"        workflowBranchProjectFactory {{ scriptPath({groovy_literal(server.script)}) }}",
        "    }",
        "    orphanedItemStrategy { discardOldItems { daysToKeep(30) } }",
        "    configure { node ->",
        "        node / 'sources' / 'data' / 'jenkins.branch.BranchSource' << {",
        *_element(SOURCES[repository.source](server, credentials), 12),
        "            strategy(class: 'jenkins.branch.DefaultBranchPropertyStrategy') {",
        "                properties(class: 'empty-list')",
        "            }",
        "        }",
        "        node / 'triggers' / 'com.cloudbees.hudson.plugins.folder.computed.PeriodicFolderTrigger' {",
        "            spec('H/5 * * * *')",
        "            interval(300000)",
        "        }",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def train_job_dsl(server: JenkinsServer, credentials: str | None) -> str:
    """Return the script for the job that runs experiments: its text comes from the default branch alone.

    Args:
        credentials: as for `job_dsl`.
    """
    logins = [f"                        credentials({groovy_literal(credentials)})"] if credentials else []
    lines = [
        f"pipelineJob({groovy_literal(server.train_job)}) {{",
        f"    description({groovy_literal(f'Experiments of {server.repository.url}, which mlbutler train sends')})",
        "    parameters {",
        "        stringParam('EXPERIMENT', '', 'The experiment; mlbutler train sets it.')",
        "        stringParam('LABEL', '', 'Of the agents; empty for the usual one.')",
        "    }",
        "    definition {",
        "        cpsScm {",
        "            scm {",
        "                git {",
        "                    remote {",
        f"                        url({groovy_literal(server.repository.url)})",
        *logins,
        "                    }",
        f"                    branch({groovy_literal(f'refs/heads/{server.branch}')})",
        "                }",
        "            }",
        f"            scriptPath({groovy_literal(server.train)})",
        "            lightweight(true)",
        "        }",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def groovy_literal(text: str) -> str:
    """Return a Groovy string literal that holds `text` and interpolates nothing."""
    plain = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{plain}'"


# ------------------------------------------------------------------------------------------ sources

Element = Mapping[str, Any]


def _git(server: JenkinsServer, credentials: str | None) -> Element:
    return _source(
        server, "jenkins.plugins.git.GitSCMSource",
        {"remote": server.repository.url, "credentialsId": credentials or ""},
        {"jenkins.plugins.git.traits.BranchDiscoveryTrait": {}},
    )  # fmt: skip


def _github(server: JenkinsServer, credentials: str | None) -> Element:
    repository, package = server.repository, "org.jenkinsci.plugins.github_branch_source"
    own = "" if repository.server in ("", "https://github.com") else f"{repository.server}/api/v3"
    return _source(
        server, f"{package}.GitHubSCMSource",
        {"apiUri": own, "repoOwner": repository.owner, "repository": repository.name,
         "repositoryUrl": repository.url, "credentialsId": credentials or ""},
        _traits(package, "PullRequest"),
    )  # fmt: skip


def _gitlab(server: JenkinsServer, credentials: str | None) -> Element:
    repository, package = server.repository, "io.jenkins.plugins.gitlabbranchsource"
    return _source(
        server, f"{package}.GitLabSCMSource",
        {"serverName": GITLAB_SERVER, "projectOwner": repository.owner, "projectPath": repository.path,
         "credentialsId": credentials or ""},
        _traits(package, "MergeRequest"),
    )  # fmt: skip


def _gitea(server: JenkinsServer, credentials: str | None) -> Element:
    repository, package = server.repository, "org.jenkinsci.plugin.gitea"
    return _source(
        server, f"{package}.GiteaSCMSource",
        {"serverUrl": repository.server, "repoOwner": repository.owner, "repository": repository.name,
         "credentialsId": credentials or ""},
        _traits(package, "PullRequest"),
    )  # fmt: skip


def _bitbucket(server: JenkinsServer, credentials: str | None) -> Element:
    repository, package = server.repository, "com.cloudbees.jenkins.plugins.bitbucket"
    return _source(
        server, f"{package}.BitbucketSCMSource",
        {"serverUrl": repository.server or "https://bitbucket.org", "repoOwner": repository.owner,
         "repository": repository.name, "credentialsId": credentials or ""},
        _traits(package, "PullRequest"),
    )  # fmt: skip


def _dagshub(server: JenkinsServer, credentials: str | None) -> Element:
    # No trait for forks: their builds fail in the plugin's own code when the trusted revision is the target branch.
    package = "io.jenkins.plugins.dagshubbranchsource"
    return _source(
        server, f"{package}.DAGsHubSCMSource",
        {"repositoryUrl": server.repository.url, "credentialsId": credentials or ""},
        {f"{package}.traits.BranchDiscoveryTrait": {},
         f"{package}.traits.OriginPullRequestDiscoveryTrait": {"buildOnPullHead": "true"}},
    )  # fmt: skip


SOURCES: dict[str, Callable[[JenkinsServer, str | None], Element]] = {
    "git": _git,
    "github": _github,
    "gitlab": _gitlab,
    "gitea": _gitea,
    "bitbucket": _bitbucket,
    "dagshub": _dagshub,
}
GITLAB_SERVER = "gitlab"  # the name by which the job and the controller's configuration know the server


def _source(server: JenkinsServer, kind: str, fields: Mapping[str, str], traits: Element) -> Element:
    identity = str(uuid.uuid5(_NAMESPACE, f"{server.name} {server.repository.url}"))
    return {"source": {"@class": kind, "id": identity, **{k: v for k, v in fields.items() if v}, "traits": traits}}


def _traits(package: str, request: str) -> dict[str, Any]:
    """Return traits for branches, the repository's own pull requests, and forks' with the target's Jenkinsfile."""
    return {
        f"{package}.BranchDiscoveryTrait": {"strategyId": str(_NOT_ALSO_PULL_REQUESTS)},
        f"{package}.Origin{request}DiscoveryTrait": {"strategyId": str(_HEAD)},
        f"{package}.Fork{request}DiscoveryTrait": {
            "strategyId": str(_HEAD),
            "trust": {"@class": f"{package}.Fork{request}DiscoveryTrait$TrustNobody"},
        },
    }


def _element(fields: Element, indent: int) -> Iterator[str]:
    """Yield lines of Groovy's builder for nested elements; '@class' is an attribute."""
    space = " " * indent
    for name, value in fields.items():
        if name == "@class":
            continue
        # XStream writes an underscore in an element's name twice.
        tag = groovy_literal(name.replace("_", "__")) if "." in name else name
        if isinstance(value, str):
            yield f"{space}{tag}({groovy_literal(value)})"
            continue
        attribute = f"class: {groovy_literal(value['@class'])}" if "@class" in value else ""
        inner = list(_element(value, indent + 4))
        if inner:
            yield f"{space}{tag}{f'({attribute})' if attribute else ''} {{"
            yield from inner
            yield f"{space}}}"
        else:
            yield f"{space}{tag}({attribute})"
