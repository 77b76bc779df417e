"""What Configuration as Code takes, as a JSON schema: only what the plugins' own samples, tests or classes show.

Its plugin stops a controller's start at an attribute that it does not know. So nothing is allowed here that has no
source, each beside its part, read in November 2026:

- JCASC is github.com/jenkinsci/configuration-as-code-plugin. How it names a global configuration without a ``@Symbol``:
  the class name with a small first letter (plugin/src/main/java/io/jenkins/plugins/casc/impl/configurators/
  DescriptorConfigurator.java); any other extension: its ``@Symbol``, or the class name without that of the extension
  point (.../impl/attributes/DescribableAttribute.java).
- Other paths are of the repository github.com/jenkinsci/NAME.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_STRING: Schema = {"type": "string", "minLength": 1}
_BOOLEAN: Schema = {"type": "boolean"}
_ID: Schema = {"type": "string", "pattern": r"^[a-z0-9-]+$"}
_HTTP: Schema = {"type": "string", "pattern": r"^https?://[^/\s@]+(/\S*)?$"}
# docs/features/secrets.adoc of JCASC: ``${NAME}`` is the file NAME of the folder of secrets.
_SECRET: Schema = {"type": "string", "pattern": r"^\$\{[A-Z][A-Z0-9_]*\}$"}


def _natural(least: int = 1) -> Schema:
    return {"type": "integer", "minimum": least}


def _map(required: Schema | None = None, optional: Schema | None = None) -> Schema:
    required, optional = required or {}, optional or {}
    return {
        "type": "object", "properties": {**required, **optional}, "required": list(required),
        "additionalProperties": False,
    }  # fmt: skip


def _one_of(kinds: Schema) -> Schema:
    """One extension by its symbol: a mapping of one key."""
    return {"oneOf": [_map({name: schema}) for name, schema in kinds.items()]}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


# matrix-auth-plugin, releases, version 3.2, and src/main/java/org/jenkinsci/plugins/matrixauth/integrations/casc/
# DefinitionEntry.java: an entry is a user or a group with its name and permissions.
_RIGHTS = _map({
    "name": _STRING,
    "permissions": _list({"enum": [
        # The groups and names of the test resource .../integrations/casc/configuration-as-code-v3.yml.
        "Overall/Administer", "Overall/Read", "Job/Build", "Job/Cancel", "Job/Discover", "Job/Read", "Job/Workspace",
        "View/Read",
    ]}),
})  # fmt: skip

# ssh-agents-plugin: src/main/java/hudson/plugins/sshslaves/SSHLauncher.java (constructor), .../verifiers/
# ManuallyProvidedKeyVerificationStrategy.java (key: algorithm and Base64, parsed at once); test resource
# hudson/plugins/sshslaves/SSHCasCConfig.yml (``ssh``). JCASC: demos/build_agents/README.md.
_SSH = _map({
    "host": _STRING, "port": _natural(), "credentialsId": _ID, "launchTimeoutSeconds": _natural(),
    "maxNumRetries": _natural(), "retryWaitTime": _natural(),
    "sshHostKeyVerificationStrategy": _one_of({"manuallyProvidedKeyVerificationStrategy": _map({
        "key": {"type": "string", "pattern": r"^ssh-\S+ [A-Za-z0-9+/=]+$"}
    })}),
})  # fmt: skip

# jenkins: core/src/main/java/hudson/slaves/DumbSlave.java (``permanent``); JCASC: demos/build_agents/README.md,
# demos/jenkins/jenkins.yaml (envVars); matrix-auth-plugin: configuration-as-code-v3.yml (retentionStrategy: always).
_NODE = _one_of({"permanent": _map(
    {"name": _STRING, "labelString": _STRING, "mode": {"enum": ["NORMAL", "EXCLUSIVE"]}, "numExecutors": _natural(),
     "remoteFS": {"type": "string", "pattern": "^/"}, "retentionStrategy": {"const": "always"}},
    {"nodeProperties": _list(_one_of({"envVars": _map({"env": _list(_map({"key": _STRING, "value": _STRING}))})})),
     "launcher": _one_of({"ssh": _SSH})},
)})  # fmt: skip

# JCASC: demos/jenkins/jenkins.yaml, demos/embedded-userdatabase/README.md; jenkins:
# core/src/main/java/hudson/security/csrf/DefaultCrumbIssuer.java (``standard``).
_JENKINS = _map({
    "systemMessage": _STRING, "numExecutors": {"const": 0}, "mode": {"const": "EXCLUSIVE"},
    # jenkins: core/src/main/java/jenkins/model/Jenkins.java, setSlaveAgentPort; -1 is none.
    "slaveAgentPort": {"const": -1},
    "crumbIssuer": _one_of({"standard": _map({"excludeClientIPFromCrumb": _BOOLEAN})}),
    "securityRealm": _one_of({
        "local": _map({"allowsSignup": {"const": False}, "users": _list(_map({"id": _ID, "password": _SECRET}))})
    }),
    "authorizationStrategy": _one_of({
        "globalMatrix": _map({"entries": _list(_one_of({"user": _RIGHTS, "group": _RIGHTS}))})
    }),
    "nodes": _list(_NODE),
})  # fmt: skip

# JCASC: demos/credentials/README.md, for all four kinds.
_COMMON: Schema = {"scope": {"enum": ["GLOBAL", "SYSTEM"]}, "id": _ID, "description": _STRING}
_CREDENTIAL = _one_of({
    "usernamePassword": _map({**_COMMON, "username": _SECRET, "password": _SECRET}),
    "basicSSHUserPrivateKey": _map({
        **_COMMON, "username": _STRING,
        "privateKeySource": _one_of({"directEntry": _map({"privateKey": _SECRET})}),
    }),
    "string": _map({**_COMMON, "secret": _SECRET}),
    "file": _map({
        **_COMMON, "fileName": _STRING,
        "secretBytes": {"type": "string", "pattern": r"^\$\{readFileBase64:/[^${}]+/[A-Z_]+\}$"},
    }),
})  # fmt: skip

_FORGES: Schema = {
    # JCASC: demos/gitea/README.md.
    "giteaServers": _map({"servers": _list(_map({
        "displayName": _STRING, "serverUrl": _HTTP, "manageHooks": _BOOLEAN,
    }))}),
    # gitlab-branch-source-plugin: src/test/resources/io/jenkins/plugins/gitlabserverconfig/casc/
    # configuration-as-code.yml.
    "gitLabServers": _map({"servers": _list(_map({
        "name": _STRING, "serverUrl": _HTTP, "manageWebHooks": _BOOLEAN, "manageSystemHooks": _BOOLEAN,
    }))}),
    # bitbucket-branch-source-plugin: src/test/resources/com/cloudbees/jenkins/plugins/bitbucket/endpoints/
    # BitbucketEndpointConfigurationTest/configuration-as-code.yml.
    "bitbucketEndpointConfiguration": _map({"endpoints": _list(_one_of({"bitbucketServerEndpoint": _map({
        "displayName": _STRING, "serverUrl": _HTTP, "manageHooks": _BOOLEAN,
    })}))}),
    # github-branch-source-plugin: src/main/java/org/jenkinsci/plugins/github_branch_source/GitHubConfiguration.java
    # (no symbol: the class's name) and Endpoint.java.
    "gitHubConfiguration": _map({"endpoints": _list(_map({"apiUri": _HTTP, "name": _STRING}))}),
}  # fmt: skip

# git-client-plugin: src/main/java/org/jenkinsci/plugins/gitclient/GitHostKeyVerificationConfiguration.java (no symbol:
# the class's name; the category is Security), .../verifier/; JCASC: demos/git-client/
# README-ssh-host-key-configuration.md.
_HOST_KEYS: Schema = {"oneOf": [
    {"const": "acceptFirstConnectionStrategy"},
    *_one_of({"manuallyProvidedKeyVerificationStrategy": _map({"approvedHostKeys": _SECRET})})["oneOf"],
]}  # fmt: skip

SCHEMA: Schema = _map({
    "jenkins": _JENKINS,
    "credentials": _map({"system": _map({"domainCredentials": {
        "type": "array", "items": _map({"credentials": {"type": "array", "items": _CREDENTIAL}}),
        "minItems": 1, "maxItems": 1,
    }})}),
    "unclassified": _map(
        # JCASC: demos/jenkins/jenkins.yaml; timestamper-plugin: src/test/resources/hudson/plugins/timestamper/
        # Customized.yml.
        {"location": _map({"url": {**_HTTP, "pattern": r"^https?://[^/\s@]+/$"}}),
         "timestamper": _map({"allPipelines": _BOOLEAN})},
        _FORGES,
    ),
    "security": _map({"gitHostKeyVerificationConfiguration": _map({"sshHostKeyVerificationStrategy": _HOST_KEYS})}),
    # JCASC: demos/jobs/README.md.
    "jobs": _list(_map({"script": _STRING})),
})  # fmt: skip

TRAITS = {
    # The classes of each source with their fields; where they lie in the repository is in the name.
    "git": {"jenkins.plugins.git.traits.BranchDiscoveryTrait"},
    **{
        source: {f"{package}.{name}" for name in (
            "BranchDiscoveryTrait", f"Origin{request}DiscoveryTrait", f"Fork{request}DiscoveryTrait",
            f"Fork{request}DiscoveryTrait$TrustNobody",
        )}
        for source, package, request in (
            ("github", "org.jenkinsci.plugins.github_branch_source", "PullRequest"),
            ("gitlab", "io.jenkins.plugins.gitlabbranchsource", "MergeRequest"),
            ("gitea", "org.jenkinsci.plugin.gitea", "PullRequest"),
            # These have moved to a package ``trait``; BitbucketPlugin.java keeps the old names of all four as aliases,
            # which older plugins know too.
            ("bitbucket", "com.cloudbees.jenkins.plugins.bitbucket", "PullRequest"),
        )
    },
    # github.com/DagsHub/dagshub-branch-source-plugin, src/main/java/io/jenkins/plugins/dagshubbranchsource/traits/
    "dagshub": {
        "io.jenkins.plugins.dagshubbranchsource.traits.BranchDiscoveryTrait",
        "io.jenkins.plugins.dagshubbranchsource.traits.OriginPullRequestDiscoveryTrait",
    },
}  # fmt: skip
