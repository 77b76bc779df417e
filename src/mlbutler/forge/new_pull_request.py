"""The page of a forge on which a person opens a pull request."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from mlbutler.forge.detect import ForgeLocation


def page(place: ForgeLocation, branch: str, target: str) -> str:
    """Return its address, filled in with the two branches; '' where there is none."""
    at = f"{place.url.rstrip('/')}/{quote(place.repository)}"
    between = f"{quote(target)}...{quote(branch)}"
    if place.kind == "github":
        return f"{at}/compare/{between}?expand=1"
    if place.kind in ("gitea", "gogs", "dagshub"):
        return f"{at}/compare/{between}"
    if place.kind == "gitlab":
        fields = {"merge_request[source_branch]": branch, "merge_request[target_branch]": target}
        return f"{at}/-/merge_requests/new?{urlencode(fields)}"
    if place.kind == "bitbucket" and urlsplit(place.url).hostname == "bitbucket.org":
        return f"{at}/pull-requests/new?{urlencode({'source': branch, 'dest': target})}"
    if place.kind == "bitbucket":
        owner, _, name = place.repository.partition("/")
        there = f"{place.url.rstrip('/')}/projects/{quote(owner)}/repos/{quote(name)}"
        refs = {"sourceBranch": f"refs/heads/{branch}", "targetBranch": f"refs/heads/{target}"}
        return f"{there}/pull-requests?create&{urlencode(refs)}"
    return ""
