"""Which DVC remotes may be given credentials: those whose address the team has agreed to.

A pull request can change ``.dvc/config``. Were a remote sent to another host, that host would get the password that
the agent holds for the old one; were it given a file of credentials or settings from the work tree, libraries would
run the command that such a file may name. So a remote is used only if the target branch, or the commit the change grew
from, configures it alike; how fast or how patiently it is used may differ, and so may the path on the same host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from mlbutler.errors import UntrustedRemote
from mlbutler.git import Git
from mlbutler.record import Change
from mlbutler.variables import REMOTE_HOSTS

CONFIG = ".dvc/config"
_SECTION = re.compile(r"""\s*remote\s+"(?P<name>.*)"\s*""")
_FREE = {
    "auth", "custom_auth_header", "user", "password", "ask_password", "access_key_id", "secret_access_key",
    "session_token", "method", "jobs", "checksum_jobs", "timeout", "connect_timeout", "read_timeout", "no_traverse",
    "verify", "listobjects", "region",
}  # fmt: skip

Sections = Mapping[str, Mapping[str, str]]


def agreed(git: Git, change: Change, prefix: str) -> tuple[Sections, ...] | None:
    """The remotes of the target branch and of the merge base; None where nothing has to be agreed to.

    Args:
        prefix: the project's path from the repository's root, '' or ``sub/folder/``.
    """
    if change.kind == "local":
        return None
    revisions = target_revisions(git, change)
    if not revisions:  # the only branch there is
        return None if change.kind == "branch" else ()
    return tuple(sections(git.show(rev, f"{prefix}{CONFIG}") or b"") for rev in revisions)


def target_revisions(git: Git, change: Change) -> list[str]:
    """The target branch's tip and the merge base, as far as they are known: what a change cannot alter."""
    tip = git.resolve(f"refs/remotes/{change.git_remote}/{change.target_branch}") if change.target_branch else None
    return [rev for rev in dict.fromkeys((tip, change.base)) if rev]


def sections(text: bytes) -> Sections:
    """Remote -> its settings, from the text of a configuration file; what cannot be parsed is left out."""
    from configobj import ConfigObj, ConfigObjError

    try:
        parsed = ConfigObj(text.decode("utf-8", "replace").splitlines(), list_values=False, interpolation=False)
    except (ConfigObjError, RecursionError):
        return {}
    found = {}
    for title, section in parsed.items():
        if isinstance(section, dict) and (match := _SECTION.fullmatch(str(title))):
            found[match["name"].lower()] = {str(key).lower(): str(value) for key, value in section.items()}
    return found


def refused(root: Path, known: Iterable[Sections] | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Remote -> why it is not used. Empty when `known` is None.

    Args:
        root: the project's root; its ``.dvc/config`` and ``.dvc/config.local`` are looked at as they are now.
        known: what was agreed to. environ: where `REMOTE_HOSTS` names further hosts.
    """
    if known is None:
        return {}
    agreements = tuple(known)
    hosts = {host.strip().lower() for host in environ.get(REMOTE_HOSTS, "").split(",") if host.strip()}
    now: dict[str, dict[str, str]] = {}
    for name in (CONFIG, f"{CONFIG}.local"):
        for remote, section in sections(_read(root / name)).items():
            now.setdefault(remote, {}).update(section)
    places = [section for agreement in agreements for section in agreement.values()]
    return {
        remote: _difference(section, [agreement[remote] for agreement in agreements if remote in agreement])
        for remote, section in now.items()
        if _endpoint(section) is not None
        and not any(_alike(section, other) for other in places)
        and not (hosts & _hosts(section) and not _further(section))
    }


def require(remote: str, reasons: Mapping[str, str]) -> None:
    """Let a remote pass that nothing speaks against.

    Raises:
        UntrustedRemote: `reasons` says why it is not used.
    """
    if (reason := reasons.get(remote.lower())) is not None:
        raise UntrustedRemote(
            f"The DVC remote '{remote}' is not used: {reason}.",
            f"Merge that change of {CONFIG} by itself first, or let the agent's {REMOTE_HOSTS} name the host, "
            "as example.org or example.org:9000.",
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _endpoint(section: Mapping[str, str]) -> tuple[str, str, int | None] | None:
    """Who gets the credentials: scheme, host, port. None for a directory, which gets none."""
    url = section.get("url", "")
    if "://" not in url:
        return None
    parts = urlsplit(section.get("endpointurl") or url)
    scheme = parts.scheme.lower()
    if scheme == "file":
        return None
    if scheme == "remote":  # another remote's address with something behind it
        return ("remote", (parts.hostname or "").lower(), None)
    host = "" if scheme in ("s3", "gs", "gcs", "azure", "oss", "gdrive") else (parts.hostname or "").lower()
    try:
        return (scheme, host, parts.port)
    except ValueError:
        return (scheme, parts.netloc, None)


def _hosts(section: Mapping[str, str]) -> set[str]:
    """The names under which the agent may allow a remote: its host, and host:port."""
    endpoint = _endpoint(section)
    if endpoint is None or not endpoint[1]:
        return set()
    _, host, port = endpoint
    return {host} if port is None else {host, f"{host}:{port}"}


def _further(section: Mapping[str, str]) -> dict[str, str]:
    """What else decides where credentials go or come from: files, profiles, proxies, certificates."""
    return {key: value for key, value in section.items() if key not in _FREE and key not in ("url", "endpointurl")}


def _alike(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return _endpoint(one) == _endpoint(other) and _further(one) == _further(other)


def _difference(section: Mapping[str, str], before: list[Mapping[str, str]]) -> str:
    if not before:
        return f"the target branch has no such remote, and none on {_shown(section)}"
    old = before[0]
    if _endpoint(old) != _endpoint(section):
        return f"the change sends it from {_shown(old)} to {_shown(section)}"
    ours, theirs = _further(section), _further(old)
    keys = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    return f"the change sets its {', '.join(keys)} otherwise than the target branch"


def _shown(section: Mapping[str, str]) -> str:
    endpoint = _endpoint(section)
    if endpoint is None:
        return "a directory"
    scheme, host, port = endpoint
    return f"{scheme}://{host}{f':{port}' if port else ''}"
