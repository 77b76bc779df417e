"""The controller's configuration as code. It has only the names of secrets; Jenkins reads them from files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mlbutler.jenkins.server.credentials import ADMIN_PASSWORD, AGENT_KEY, KNOWN_HOSTS, JenkinsCredential
from mlbutler.jenkins.server.job import GITLAB_SERVER, job_dsl, train_job_dsl
from mlbutler.jenkins.server.model import ADMIN, AGENT, AGENT_HOME, MIRROR, JenkinsServer

_AGENT_CREDENTIAL = "mlbutler-agent"


def jenkins_yaml(
    server: JenkinsServer, credentials: Iterable[JenkinsCredential], *, host_key: str | None, known_hosts: bool = False
) -> str:
    """Return the content of ``jenkins.yaml``.

    Args:
        host_key: public host key of the agent that is reached over SSH; None for an agent that dials in itself.
        known_hosts: the team gave the host keys of its Git servers; else the first one seen is kept.
    """
    known = tuple(credentials)
    text = yaml.safe_dump(
        {
            "jenkins": _controller(server, host_key),
            "credentials": {"system": {"domainCredentials": [{"credentials": _store(server, known, host_key)}]}},
            "unclassified": {
                "location": {"url": server.url},
                "timestamper": {"allPipelines": True},
                **_forge(server),
            },
            "security": {
                "gitHostKeyVerificationConfiguration": {"sshHostKeyVerificationStrategy": _git_hosts(known_hosts)}
            },
            "jobs": [{"script": _escaped(script)} for script in _jobs(server, _reading(server, known))],
        },
        sort_keys=False,
        allow_unicode=True,
        width=1000,
    )
    return f"# Written by `mlbutler jenkins up`, again at each start. Own settings: another file here.\n{text}"


def _jobs(server: JenkinsServer, credentials: str | None) -> list[str]:
    return [job_dsl(server, credentials), *([train_job_dsl(server, credentials)] if server.train else [])]


def _controller(server: JenkinsServer, host_key: str | None) -> dict[str, Any]:
    return {
        "systemMessage": f"mlbutler: {server.name}\n",
        # The controller builds nothing: a build on it could read every secret.
        "numExecutors": 0,
        "mode": "EXCLUSIVE",
        # No port for agents: it would listen on all addresses. Agents come over SSH or the web server's own port.
        "slaveAgentPort": -1,
        "crumbIssuer": {"standard": {"excludeClientIPFromCrumb": False}},
        "securityRealm": {
            "local": {"allowsSignup": False, "users": [{"id": ADMIN, "password": f"${{{ADMIN_PASSWORD}}}"}]}
        },
        "authorizationStrategy": {"globalMatrix": {"entries": _rights()}},
        "nodes": [{"permanent": _agent(server, host_key)}],
    }


def _rights() -> list[dict[str, Any]]:
    signed_in = [
        "Overall/Read", "Job/Build", "Job/Cancel", "Job/Discover", "Job/Read", "Job/Workspace", "View/Read",
    ]  # fmt: skip
    return [
        {"user": {"name": ADMIN, "permissions": ["Overall/Administer"]}},
        {"group": {"name": "authenticated", "permissions": signed_in}},
    ]


def _agent(server: JenkinsServer, host_key: str | None) -> dict[str, Any]:
    if host_key is None:
        return {
            "name": AGENT,
            "labelString": server.labels,
            "mode": "NORMAL",
            "numExecutors": server.executors,
            "remoteFS": str(server.home / "agent"),
            "retentionStrategy": "always",
        }
    variables = {
        "DOCKER_HOST": "tcp://docker:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": "/home/jenkins/.docker",
        "MLBUTLER_DATA_MIRROR": MIRROR,
    }
    return {
        "name": AGENT,
        "labelString": server.labels,
        "mode": "NORMAL",
        "numExecutors": server.executors,
        "remoteFS": AGENT_HOME,
        "retentionStrategy": "always",
        "nodeProperties": [{"envVars": {"env": [{"key": k, "value": v} for k, v in variables.items()]}}],
        "launcher": {
            "ssh": {
                "host": "agent",
                "port": 22,
                "credentialsId": _AGENT_CREDENTIAL,
                "launchTimeoutSeconds": 60,
                "maxNumRetries": 10,
                "retryWaitTime": 5,
                "sshHostKeyVerificationStrategy": {
                    "manuallyProvidedKeyVerificationStrategy": {"key": " ".join(host_key.split()[:2])}
                },
            }
        },
    }


def _git_hosts(known: bool) -> str | dict[str, Any]:
    if not known:
        return "acceptFirstConnectionStrategy"
    return {"manuallyProvidedKeyVerificationStrategy": {"approvedHostKeys": f"${{{KNOWN_HOSTS}}}"}}


# -------------------------------------------------------------------------------------- credentials


def _store(
    server: JenkinsServer, credentials: tuple[JenkinsCredential, ...], host_key: str | None
) -> list[dict[str, Any]]:
    mounted = Path("/run/secrets") if host_key is not None else server.secrets
    entries = [
        _file(credential, mounted) if credential.kind == "file" else _entry(credential) for credential in credentials
    ]
    if host_key is not None:
        agent = JenkinsCredential(_AGENT_CREDENTIAL, "key", ("", AGENT_KEY), "the controller's key to its agent")
        # SYSTEM: no job can use it.
        entries.append(_entry(agent, username="jenkins", scope="SYSTEM"))
    return entries


def _entry(credential: JenkinsCredential, *, username: str | None = None, scope: str = "GLOBAL") -> dict[str, Any]:
    common = {"scope": scope, "id": credential.id, "description": credential.text}
    names = [f"${{{name}}}" for name in credential.files]
    if credential.kind == "text":
        return {"string": {**common, "secret": names[0]}}
    common["username"] = username or names[0]
    if credential.kind == "key":
        source = {"directEntry": {"privateKey": names[1]}}
        return {"basicSSHUserPrivateKey": {**common, "privateKeySource": source}}
    return {"usernamePassword": {**common, "password": names[1]}}


def _file(credential: JenkinsCredential, folder: Path) -> dict[str, Any]:
    # By its path: a variable's value would be taken for text, and `${base64:...}` would look for braces in it.
    content = f"${{readFileBase64:{folder / credential.files[0]}}}"
    common = {"scope": "GLOBAL", "id": credential.id, "description": credential.text}
    return {"file": {**common, "fileName": credential.id, "secretBytes": content}}


def _reading(server: JenkinsServer, credentials: tuple[JenkinsCredential, ...]) -> str | None:
    """Return the id of the credential with which the job reads the repository."""
    there = {credential.id for credential in credentials}
    over_ssh = not server.repository.url.startswith(("http://", "https://"))
    return next((name for name in (["mlbutler-git-ssh"] if over_ssh else ["mlbutler-git"]) if name in there), None)


def _forge(server: JenkinsServer) -> dict[str, Any]:
    repository = server.repository
    if repository.source == "gitea":
        return {
            "giteaServers": {
                "servers": [{"displayName": server.name, "serverUrl": repository.server, "manageHooks": False}]
            }
        }
    if repository.source == "gitlab":
        return {
            "gitLabServers": {
                "servers": [
                    {
                        "name": GITLAB_SERVER,
                        "serverUrl": repository.server,
                        "manageWebHooks": False,
                        "manageSystemHooks": False,
                    }
                ]
            }
        }
    if repository.source == "bitbucket" and repository.server != "https://bitbucket.org":
        own = {"displayName": server.name, "serverUrl": repository.server, "manageHooks": False}
        return {"bitbucketEndpointConfiguration": {"endpoints": [{"bitbucketServerEndpoint": own}]}}
    if repository.source == "github" and repository.server not in ("", "https://github.com"):
        return {"gitHubConfiguration": {"endpoints": [{"apiUri": f"{repository.server}/api/v3", "name": server.name}]}}
    return {}


def _escaped(script: str) -> str:
    """Escape ``${``, which begins a secret's name in this file, with a circumflex."""
    return script.replace("${", "^${")
