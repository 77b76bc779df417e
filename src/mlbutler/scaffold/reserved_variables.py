"""Variables that no generated file sets: they decide whose change is built, where tools connect or what they load."""

from __future__ import annotations

import re
from dataclasses import fields

from mlbutler.allowed_variables import CI_FACTS
from mlbutler.ci.jenkins import PLUGINS
from mlbutler.ci.servers import SERVERS, ServerVariables

# What CI servers, forges and mlbutler itself read or set; in a set of one, any variable may come with its next version.
_SERVERS = """
MLBUTLER_ JENKINS HUDSON_ GHPRB GITHUB GITLAB GITEA_ FORGEJO_ GOGS_ GERRIT_ BITBUCKET_ STASH_ DAGSHUB_ GIT_ GH_ CI_
CHANGE_ BRANCH_ BUILD_ JOB_ NODE_ EXECUTOR_ STAGE_ WORKSPACE RUN_ TAG_ ACTIONS_ RUNNER_ INPUT_ AGENT_ SYSTEM_ CIRCLE_
TRAVIS_ BUILDKITE_ DRONE_ APPVEYOR_ SEMAPHORE_ CF_ CODEBUILD_ BAMBOO_ GO_ ATC_ BUDDY_ CIRRUS_ BITRISE CM_ PROW_ PULL_
TEAMCITY_ CACHE_POLICY FF_
"""
# Whom programs trust, where they look for credentials and settings, and what they load or run before they begin.
_PROGRAMS = """
LD_ DYLD_ GCONV_ GLIBC_ OPENSSL_ SSL KRB5 NSS_ RES_OPTIONS LOCALDOMAIN HOSTALIASES BASH_ PERL5 XDG_ DOCKER_ CONTAINER_
KUBE SSH_ GPG GNUPG CURL_ NETRC WGETRC PYTHON PIP_ UV_ COVERAGE_PROCESS_ DVC_ AWS_ BOTO_ GOOGLE_ CLOUDSDK_ GCLOUD_
AZURE_ FSSPEC_ REQUESTS_
"""
_EXACT = """
PATH HOME USER LOGNAME SHELL PWD OLDPWD ENV IFS PS4 SHELLOPTS BASHOPTS CDPATH LOCPATH NLSPATH EDITOR VISUAL PAGER
FAILED GATE
"""
_NAMES = frozenset(_EXACT.split())
_PREFIXES = tuple(f"{_SERVERS} {_PROGRAMS}".split())
_CERTIFICATES = re.compile(r".*_(?:CERTS?|CA_BUNDLE|CA_CERTS?|CERT_FILE|CERT_DIR)(?:_.*)?")
# Of the sets above: what no program takes code, trust or an address from, and package indexes, which the user chooses.
_HARMLESS = """
PYTHONPATH PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONHASHSEED PYTHONIOENCODING PYTHONUTF8 PYTHONFAULTHANDLER
PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_NO_CACHE_DIR PIP_DISABLE_PIP_VERSION_CHECK PIP_DEFAULT_TIMEOUT PIP_RETRIES
UV_INDEX_URL UV_DEFAULT_INDEX UV_LINK_MODE UV_NO_CACHE DVC_NO_ANALYTICS AWS_REGION AWS_DEFAULT_REGION
"""
_PERMITTED = frozenset(_HARMLESS.split())


def _variables_of(server: ServerVariables) -> set[str]:
    """Return all variables in which a CI server says something."""
    found = set(server.marks)
    for field in fields(server):
        value = getattr(server, field.name)
        found |= set(value) if isinstance(value, tuple) else set()
    return found


_OF_SERVERS = frozenset(name.upper() for name in CI_FACTS.union(*map(_variables_of, (*SERVERS, *PLUGINS))))


def is_reserved(name: str) -> bool:
    """Return whether a variable is not for a project to set, in any case of letters: Jenkins' names have none."""
    name = name.upper()
    if name in _PERMITTED:
        return False
    return (
        name in _NAMES or name in _OF_SERVERS or name.startswith(_PREFIXES) or _CERTIFICATES.fullmatch(name) is not None
    )
