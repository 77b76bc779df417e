"""Find the repository's forge: from the settings, the CI server's variables, the git remote's address."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from mlbutler.errors import SettingsError
from mlbutler.forge.address import kind_of, pages_address, parse_address
from mlbutler.frozen import frozen
from mlbutler.record import Change
from mlbutler.secrets import without_userinfo
from mlbutler.settings import ForgeSettings as Settings
from mlbutler.settings import LoadedSettings

_KEYS = ("kind", "url", "repository", "api")
# How each forge's pages of pull requests are called; Gitea's differs from GitHub's by its plural, and is that of Gogs.
_PAGES = (
    (re.compile(r"/-/merge_requests/\d+"), "gitlab"),
    (re.compile(r"/pull-requests/\d+"), "bitbucket"),
    (re.compile(r"/pulls/\d+"), "gitea"),
    (re.compile(r"/pull/\d+"), "github"),
)


@frozen
class ForgeLocation:
    """A repository on a forge.

    Attributes:
        kind: a key of `mlbutler.forge.registry.FORGES`.
        url: the address of the forge's pages, or the directory of the folder forge.
        repository: owner and name, as ``owner/name``; on GitLab with all groups.
        api: the API's own address, '' where it follows from `url`.
        chosen: did the settings ask for it, or was it found?
        guessed: does the kind follow from the address of a page alone, which another forge has the same?
    """

    kind: str
    url: str
    repository: str
    api: str = ""
    chosen: bool = False
    guessed: bool = False


def locate_forge(settings: Settings, environ: Mapping[str, str], change: Change) -> ForgeLocation | None:
    """Return where to publish, None when nothing says.

    Raises:
        SettingsError: the settings name a forge, and its address or repository cannot be found.
    """
    if settings.kind == "folder":
        return ForgeLocation("folder", settings.url or "", "", chosen=True)
    found = _from_ci(environ) or _from_remote(environ, change)
    if settings.url:
        return _with_url(settings, change, found)
    if settings.kind and found:
        found = replace(found, kind=settings.kind, chosen=True, guessed=False)
    elif settings.kind:
        raise SettingsError(
            f"forge.kind is '{settings.kind}' but its address cannot be determined.",
            "Set forge.url and forge.repository.",
        )
    if found is None or not found.kind:
        return None
    return _complete(replace(found, repository=settings.repository or found.repository, api=settings.api or ""))


def _with_url(settings: Settings, change: Change, found: ForgeLocation | None) -> ForgeLocation:
    url = pages_address(settings.url or "")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        remedy = "Write it as https://host or https://host/path; for a directory set forge.kind to 'folder'."
        raise SettingsError(f"forge.url is not an address: '{url}'.", remedy)
    if "@" in parts.netloc:
        raise SettingsError("forge.url holds a user name or a password.", "Take it out; set MLBUTLER_FORGE_TOKEN.")
    said = settings.kind or kind_of(parts.hostname.lower()) or ""
    kind = said or (found.kind if found else "")
    if not kind:
        raise SettingsError(f"Cannot determine which forge is at {url}.", "Set forge.kind.")
    at = parse_address(change.repository)
    repository = settings.repository or (at.repository(url) if at else "") or (found.repository if found else "")
    return _complete(
        ForgeLocation(
            kind,
            url,
            repository,
            settings.api or "",
            chosen=True,
            guessed=not said and found is not None and found.guessed,
        )
    )


def _complete(there: ForgeLocation) -> ForgeLocation:
    if "/" not in there.repository.strip("/"):
        raise SettingsError(
            f"Cannot determine which repository on {there.url} to publish to.", "Set forge.repository to owner/name."
        )
    return replace(there, repository=there.repository.strip("/"))


def _from_ci(environ: Mapping[str, str]) -> ForgeLocation | None:
    if environ.get("GITHUB_ACTIONS") == "true" and environ.get("GITHUB_REPOSITORY"):
        gitea = any(environ.get(name) for name in ("GITEA_ACTIONS", "FORGEJO_ACTIONS"))
        url = environ.get("GITHUB_SERVER_URL") or "https://github.com"
        return ForgeLocation("gitea" if gitea else "github", url.rstrip("/"), environ["GITHUB_REPOSITORY"])
    project = environ.get("CI_MERGE_REQUEST_PROJECT_PATH") or environ.get("CI_PROJECT_PATH")
    if environ.get("GITLAB_CI") and project and environ.get("CI_SERVER_URL"):
        return ForgeLocation("gitlab", environ["CI_SERVER_URL"].rstrip("/"), project)
    if environ.get("BITBUCKET_REPO_FULL_NAME") and environ.get("BITBUCKET_BUILD_NUMBER"):
        return ForgeLocation("bitbucket", "https://bitbucket.org", environ["BITBUCKET_REPO_FULL_NAME"])
    return None


def _from_remote(environ: Mapping[str, str], change: Change) -> ForgeLocation | None:
    at = parse_address(change.repository)
    if at is None:
        return None
    own = urlsplit(environ.get("DAGSHUB_CLIENT_HOST", ""))  # read by DagsHub's own tools too
    if own.hostname == at.host:
        return ForgeLocation("dagshub", f"{own.scheme}://{own.netloc.rpartition('@')[2]}", at.repository(at.web))
    known = kind_of(at.host)
    kind = known or next((name for page, name in _PAGES if page.search(urlsplit(change.url).path)), "")
    return ForgeLocation(kind, at.web, at.repository(at.web), guessed=not known and kind == "gitea")


def require_agreed(
    loaded: LoadedSettings,
    there: ForgeLocation,
    change: Change,
    environ: Mapping[str, str],
    before: Callable[[], list[Settings]],
) -> None:
    """Refuse a forge that the team did not agree to: a pull request must not send the token elsewhere.

    What the environment says, and what follows from the clone and the CI server, is agreed to; what the project's own
    file says is when the target branch, or the commit the change grew from, says the same.

    Args:
        before: the settings there.

    Raises:
        SettingsError: the change itself brought it.
    """
    now = loaded.settings.forge
    brought = [
        key for key in _KEYS if getattr(now, key) and not loaded.sources.get(f"forge.{key}", "").startswith("MLBUTLER_")
    ]
    own_machine = change.kind == "local" and not environ.get("CI")  # set by CI servers that are not known here too
    if there.kind == "folder" or own_machine or not brought:
        return
    at = parse_address(change.repository)
    elsewhere = at is None or urlsplit(there.url).netloc != urlsplit(at.web).netloc or bool(there.api)
    if not elsewhere and brought == ["kind"]:
        return
    known = before()
    if not any(all(getattr(old, key) == getattr(now, key) for key in brought) for old in known):
        keys = " and ".join(f"forge.{key}" for key in brought)
        why, remedy = f"this change brought {keys}", "Merge that change by itself first"
        if not known:  # a fork's build can fetch nothing of a private repository
            why = f"the target branch, which has to have {keys} too, has no settings or is not known here"
            remedy += ", or have the CI server's checkout bring the target branch"
        variables = " and ".join(f"MLBUTLER_FORGE_{key.upper()}" for key in brought)
        raise SettingsError(
            f"The token is not sent to {without_userinfo(there.url)}: {why}.",
            f"{remedy}, or set {variables} on the agent.",
        )
