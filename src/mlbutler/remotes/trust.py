"""Which DVC remotes may be used: those that the target branch configures.

A pull request can change ``.dvc/config``. Were a remote sent to another host, that host would get the password that
the agent holds for the old one; were it given a file of credentials or settings from the work tree, libraries would
run the command that such a file may name; were it a directory, the change's data would go there and come from there.
So a remote is used only if the target branch, or the commit the change grew from, configures it the same way; speed and
time-outs may differ, and so may the path on the same host. The same applies to the choice of the project's remote, to
DVC's cache and to the mirror.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mlbutler.errors import UntrustedRemote
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.git import verified as git_verified
from mlbutler.record import Change
from mlbutler.remotes.held_config import CONFIG, Texts, read_texts, require_quick
from mlbutler.secrets import without_userinfo
from mlbutler.settings import SETTINGS_FILES, LoadedSettings, Settings, settings_at
from mlbutler.variables import REMOTE_HOSTS

_NAMED = re.compile(r"""^\s*(remote|machine|db)\s*"(.*)"\s*$""")
"""A section's title as DVC takes it apart; of ``['remote "x"']`` and ``[remote] [[x]]`` the later one counts."""
_FREE = {
    "auth", "custom_auth_header", "user", "password", "ask_password", "access_key_id", "secret_access_key",
    "session_token", "method", "jobs", "checksum_jobs", "timeout", "connect_timeout", "read_timeout", "no_traverse",
    "verify", "listobjects", "region",
}  # fmt: skip
_PLACES = (("cache", "dir"), ("core", "site_cache_dir"))
"""Directories besides remotes that DVC's configuration places."""

_MIRRORS = ("mirror", "mirror_remote")
"""Settings of ours that say where objects are kept for other builds."""
Sections = Mapping[str, Mapping[str, str]]
Config = Mapping[str, Mapping[str, Any]]
"""A file of DVC's as DVC reads it: section -> key -> value, and the remotes in the section ``remote``."""


@frozen
class Agreement:
    """Hold what a commit that the change cannot alter configures.

    Attributes:
        remotes: name -> settings. default: the project's remote by DVC's configuration and our settings, '' for none.
        places: of `_PLACES`, by section and key. mirrors: `_MIRRORS` of our settings, as far as they are set.
        file: the content of a file there, by its path from the project's root; None where there is none.
    """

    remotes: Sections
    default: str = ""
    places: Mapping[tuple[str, str], str] = field(default_factory=dict)
    mirrors: Mapping[str, str] = field(default_factory=dict)
    file: Callable[[str], bytes | None] = field(default=lambda path: None, compare=False)


def read_agreements(git: Git, change: Change, prefix: str, revisions: Sequence[str]) -> tuple[Agreement, ...] | None:
    """Return what target branch and merge base configure; None where the work tree's configuration is trusted.

    Args:
        prefix: the project's path from the repository's root, '' or ``sub/folder/``.
        revisions: these two, from `target_revisions`.
    """
    if change.kind == "local":
        return None
    if not revisions:  # the only branch there is
        revisions = [change.checkout] if change.kind == "branch" else []
    return tuple(_agreement(git, rev, prefix) for rev in revisions)


def _agreement(git: Git, revision: str, prefix: str) -> Agreement:
    contents = git.show_all(revision, [f"{prefix}{name}" for name in (*SETTINGS_FILES, CONFIG)])
    settings = settings_at(lambda name: contents[f"{prefix}{name}"])
    own = settings.data.remote if settings is not None else None
    found = from_text(contents[f"{prefix}{CONFIG}"] or b"", own, _mirrors(settings))
    # Asked for later, when the project's code may have written into Git's objects.
    return dataclasses.replace(found, file=lambda path: git_verified.file_at(git, revision, f"{prefix}{path}"))


def from_text(text: bytes, chosen: str | None = None, mirrors: Mapping[str, str] | None = None) -> Agreement:
    """Return the agreement from a DVC configuration file, with the remote and the mirrors that our settings name."""
    config = _parse_config(text)
    remotes = _remotes(config)
    return Agreement(remotes, (chosen or _default(config, remotes)).lower(), _places(config), mirrors or {})


def target_revisions(git: Git, change: Change) -> list[str]:
    """Return the target branch's tip and the merge base, as far as known; a change cannot alter these commits."""
    known = change.git_remote and change.target_branch
    tip = git.resolve(f"refs/remotes/{change.git_remote}/{change.target_branch}") if known else None
    return revisions_with(git, change, tip)


def revisions_with(git: Git, change: Change, tip: str | None) -> list[str]:
    """Return as `target_revisions` where the branch's tip is known."""
    base, believed = change.base, git.access is None or git.access.fresh
    if not believed and base and tip and not git_verified.is_ancestor(git, base, tip):
        base = None
    return [rev for rev in dict.fromkeys((tip, base)) if rev]


def sections(text: bytes) -> Sections:
    """Return remote -> its settings from the text of a configuration file, leaving out what cannot be parsed."""
    return _remotes(_parse_config(text))


def refused_remotes(
    root: Path, known: Iterable[Agreement] | None, environ: Mapping[str, str], *, anonymous: bool = False,
    chosen: str | None = None, texts: Texts | None = None,
) -> dict[str, str]:  # fmt: skip
    """Return remote -> why it is not used. Empty when `known` is None.

    Args:
        root: the project's root.
        known: the agreements. environ: where `REMOTE_HOSTS` names further hosts and directories.
        anonymous: no credentials are sent, so any host is allowed; a directory of the agent still is not.
        chosen: the remote that our settings name, '' for none; None when the environment names it.
        texts: the work tree's configuration; None to look at it as it is now.
    """
    if known is None:
        return {}
    agreements = tuple(known)
    allowed = [name.strip() for name in environ.get(REMOTE_HOSTS, "").split(",") if name.strip()]
    hosts = {name.lower() for name in allowed}
    directories = [name for name in allowed if name.startswith("/")]
    now, default = _now(texts or read_texts(root), chosen)
    places = [section for agreement in agreements for section in agreement.remotes.values()]
    found = {}
    for remote, section in now.items():
        before = [agreement.remotes[remote] for agreement in agreements if remote in agreement.remotes]
        if any(_alike(section, other) for other in before or places):  # its name decides which credentials it is given
            continue
        if _is_directory(section):
            if any(_lies_in(root, section.get("url", ""), directory) for directory in directories):
                continue
        elif anonymous or (hosts & _hosts(section) and not _further(section)):
            continue
        found[remote] = _difference(section, before)
    for remote in now:
        for base in _bases(now, remote):
            if base in found:
                found.setdefault(remote, f"it is a path on the remote '{base}': {found[base]}")
    same = any(_same_default(default, now, one) for one in agreements)
    if chosen is not None and not anonymous and default in now and not same:
        old = next((one.default for one in agreements), "")
        found.setdefault(default, f"the change makes it the project's remote in place of {old or 'none'}")
    return found


def require_trusted(remote: str, reasons: Mapping[str, str]) -> None:
    """Raise where a remote must not be used.

    Raises:
        UntrustedRemote: `reasons` says why it is not used.
    """
    if (reason := reasons.get(remote.lower())) is not None:
        raise UntrustedRemote(
            f"The DVC remote '{remote}' is not used: {reason}.",
            f"Merge that change of {CONFIG} by itself first, or let the agent's environment say so: {REMOTE_HOSTS} "
            "names a host, as example.org or example.org:9000, or a directory; MLBUTLER_DATA_REMOTE the project's "
            "remote.",
        )


def require_places(root: Path, known: Iterable[Agreement] | None, texts: Texts | None = None) -> None:
    """Raise where DVC's own directories are neither agreed to nor inside the project.

    Args:
        texts: as for `refused_remotes`.

    Raises:
        UntrustedRemote: the change moves one of them.
    """
    for (section, key), _, new in _moved_places(root, known, texts or read_texts(root)):
        raise UntrustedRemote(
            f"The change sets {section}.{key} to {new}, which the target branch does not: DVC would write there.",
            f"Merge that change of {CONFIG} by itself first.",
        )


def without_moved_mirror(loaded: LoadedSettings, known: Iterable[Agreement] | None) -> LoadedSettings:
    """Return the settings without mirrors that only the change names."""
    moved = _moved_mirrors(loaded, tuple(known)) if known is not None else {}
    if not moved:
        return loaded
    data = msgspec.structs.replace(loaded.settings.data, **dict.fromkeys(moved))
    return dataclasses.replace(loaded, settings=msgspec.structs.replace(loaded.settings, data=data))


def describe_moves(root: Path, loaded: LoadedSettings, known: Iterable[Agreement] | None) -> tuple[str, ...]:
    """Return, in sentences, how the change's remotes, directories and mirror differ from the target branch's.

    Empty where the target branch is not known: what is there already would be called new.
    """
    agreements = tuple(known or ())
    return tuple(_sentences(root, loaded, agreements, agreements[0])) if agreements else ()


def _sentences(root: Path, loaded: LoadedSettings, agreements: tuple[Agreement, ...], old: Agreement) -> Iterator[str]:
    given = loaded.sources.get("data.remote", "").startswith("MLBUTLER_")
    texts = read_texts(root)
    now, default = _now(texts, None if given else loaded.settings.data.remote or "")
    for remote, section in now.items():
        url, same = section.get("url", ""), [one.remotes[remote] for one in agreements if remote in one.remotes]
        if not same:
            yield f"the change adds the DVC remote '{remote}', at {_address(url)}"
        elif not any(url == other.get("url", "") for other in same):
            before = _address(same[0].get("url", ""))
            yield f"the change moves the DVC remote '{remote}' from {before} to {_address(url)}"
        elif not any(_alike(section, other) for other in same):
            yield f"of the DVC remote '{remote}': {_difference(section, same)}"
    for remote in old.remotes:
        if remote not in now:
            yield f"the change removes the DVC remote '{remote}'"
    if not given and not any(_same_default(default, now, one) for one in agreements):
        yield f"the change makes '{default or 'none'}' the project's DVC remote, in place of '{old.default or 'none'}'"
    for (section_name, key), before, new in _moved_places(root, agreements, texts):
        yield f"the change sets DVC's {section_name}.{key} to {new}, in place of {before or 'its default'}: not used"
    for key, mirror in _moved_mirrors(loaded, agreements).items():
        yield f"the change sets data.{key} to {mirror}, in place of {old.mirrors.get(key, 'none')}: not used"


def configured_directories(root: Path) -> tuple[Path, ...]:
    """Return the cache and remote directories that the work tree's DVC configuration names."""
    configs = _configs(read_texts(root))
    urls = [section.get("url", "") for config in configs for section in _remotes(config).values()]
    named = [value for config in configs for value in _places(config).values()]
    return tuple(root / ".dvc" / _path(text) for text in (*urls, *named) if text and _is_directory({"url": text}))


def _mirrors(settings: Settings | None) -> dict[str, str]:
    found = {key: getattr(settings.data, key) for key in _MIRRORS} if settings is not None else {}
    return {key: value for key, value in found.items() if value is not None}


def _moved_mirrors(loaded: LoadedSettings, agreements: tuple[Agreement, ...]) -> dict[str, str]:
    """Return setting -> value of the mirrors that neither the environment nor an agreement names."""
    return {
        key: value
        for key, value in _mirrors(loaded.settings).items()
        if not loaded.sources.get(f"data.{key}", "").startswith("MLBUTLER_")
        and all(value != one.mirrors.get(key) for one in agreements)
    }


def _moved_places(
    root: Path, known: Iterable[Agreement] | None, texts: Texts
) -> Iterator[tuple[tuple[str, str], str, str]]:
    """Yield DVC's directories that the change moves out of the project: (section, key), old place, new place."""
    if known is None:
        return
    agreements = tuple(known)
    now: dict[tuple[str, str], str] = {}
    for config in _configs(texts):
        now |= _places(config)
    for name, path in now.items():
        if not any(path == one.places.get(name) for one in agreements) and not _lies_in(root, path, str(root)):
            yield name, next((one.places[name] for one in agreements if name in one.places), ""), path


# --------------------------------------------------------------------------------------- the files


def _configs(texts: Texts) -> tuple[Config, ...]:
    return tuple(_parse_config(text or b"") for text in texts.values())


def _now(texts: Texts, chosen: str | None) -> tuple[dict[str, dict[str, str]], str]:
    """Return the remotes of the work tree, and the name of the project's."""
    remotes: dict[str, dict[str, str]] = {}
    core: dict[str, Any] = {}
    for config in _configs(texts):
        core |= config.get("core", {})
        for remote, section in _remotes(config).items():
            remotes.setdefault(remote, {}).update(section)
    return remotes, (chosen or _default({"core": core}, remotes)).lower()


def _parse_config(text: bytes) -> Config:
    """Parse the file with the library and the rules of DVC, so that both see the same remotes.

    Raises:
        Unreadable: that library would need minutes.
    """
    from configobj import ConfigObj, ConfigObjError

    try:
        read = _lower_keys(ConfigObj(StringIO(require_quick(text).decode("utf-8", "replace"), newline=None)).dict())
    except (ConfigObjError, RecursionError):  # DVC reads no such file either
        return {}
    found: dict[str, dict[str, Any]] = {"remote": {}}
    for title, section in read.items():
        match = _NAMED.search(title)
        if match is not None and match[1] == "remote":
            found["remote"][match[2]] = section
        elif match is None and isinstance(section, dict):
            found[title] = section
    return found


def _lower_keys(section: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(key).lower(): _lower_keys(value) if isinstance(value, dict) else value for key, value in section.items()
    }


def _texts(section: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in section.items()}


def _remotes(config: Config) -> Sections:
    found = config.get("remote", {})
    return {name: _texts(section) for name, section in found.items() if isinstance(section, dict)}


def _default(config: Config, remotes: Sections) -> str:
    """Return DVC's default remote, else the only one there is."""
    return str(config.get("core", {}).get("remote", "")) or (next(iter(remotes)) if len(remotes) == 1 else "")


def _same_default(default: str, now: Sections, agreement: Agreement) -> bool:
    """Return whether the project's remote is the agreed one, whatever its name is now."""
    one, other = now.get(default), agreement.remotes.get(agreement.default)
    return default == agreement.default or (one is not None and other is not None and _alike(one, other))


def _places(config: Config) -> dict[tuple[str, str], str]:
    return {(section, key): str(config[section][key]) for section, key in _PLACES if key in config.get(section, {})}


def _endpoint(section: Mapping[str, str]) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of the server that gets the credentials; None for a directory."""
    if _is_directory(section):
        return None
    url = section.get("url", "")
    parts = urlsplit(section.get("endpointurl") or url)
    scheme = parts.scheme.lower()
    if scheme == "remote":  # another remote's address with something behind it, which may lie in a directory
        return ("remote", f"{parts.netloc.lower()}{parts.path}", None)
    host = "" if scheme in ("s3", "gs", "gcs", "azure", "oss", "gdrive") else (parts.hostname or "").lower()
    try:
        return (scheme, host, parts.port)
    except ValueError:
        return (scheme, parts.netloc, None)


def _bases(remotes: Sections, remote: str) -> Iterator[str]:
    """Yield the remotes that an address ``remote://...`` builds on: they determine its host."""
    seen: set[str] = set()
    while remote not in seen:
        seen.add(remote)
        parts = urlsplit(remotes.get(remote, {}).get("url", ""))
        if parts.scheme.lower() != "remote":
            return
        remote = parts.netloc.lower()
        yield remote


def _hosts(section: Mapping[str, str]) -> set[str]:
    """Return the names under which the agent may allow a remote: its host, and host:port."""
    endpoint = _endpoint(section)
    if endpoint is None or not endpoint[1]:
        return set()
    _, host, port = endpoint
    return {host} if port is None else {host, f"{host}:{port}"}


def _further(section: Mapping[str, str]) -> dict[str, str]:
    """Return the other settings on which credentials depend: files, profiles, proxies, certificates."""
    return {key: value for key, value in section.items() if key not in _FREE and key not in ("url", "endpointurl")}


def _alike(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    if _is_directory(one) and _directory(one) != _directory(other):
        return False
    return _endpoint(one) == _endpoint(other) and _further(one) == _further(other)


def _is_directory(section: Mapping[str, str]) -> bool:
    url = section.get("url", "")
    return "://" not in url or urlsplit(url).scheme.lower() in ("file", "local")


def _path(url: str) -> str:
    return urlsplit(url).path if "://" in url else url


def _directory(section: Mapping[str, str]) -> str:
    return os.path.normpath(_path(section.get("url", "")))


def _lies_in(root: Path, path: str, directory: str) -> bool:
    """Return whether the path is the directory or below it; relative to ``.dvc``, as in DVC, and following links."""
    return Path(os.path.realpath(root / ".dvc" / _path(path))).is_relative_to(os.path.realpath(directory))


def _address(url: str) -> str:
    return without_userinfo(url) or "nowhere"


def _difference(section: Mapping[str, str], before: list[Mapping[str, str]]) -> str:
    if not before:
        return f"the target branch has no such remote, and none on {_destination(section)}"
    old = before[0]
    if _endpoint(old) != _endpoint(section) or (_is_directory(section) and _directory(old) != _directory(section)):
        return f"the change sends it from {_destination(old)} to {_destination(section)}"
    ours, theirs = _further(section), _further(old)
    keys = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    return f"the change sets its {', '.join(keys)} differently from the target branch"


def _destination(section: Mapping[str, str]) -> str:
    endpoint = _endpoint(section)
    if endpoint is None:
        return f"the directory {_directory(section)}"
    scheme, host, port = endpoint
    return f"{scheme}://{host}{f':{port}' if port else ''}"
