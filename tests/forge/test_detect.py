from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.errors import SettingsError
from mlbutler.forge.address import parse_address
from mlbutler.forge.detect import ForgeLocation, locate_forge, require_agreed
from mlbutler.record import Change
from mlbutler.settings import ForgeSettings, LoadedSettings, parse_settings


def change(repository: str = "", url: str = "", kind: str = "pull-request") -> Change:
    return Change(ci="jenkins", kind=kind, head="a" * 40, checkout="a" * 40, repository=repository, url=url)


ACTIONS = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "team/x", "GITHUB_SERVER_URL": "https://ghe.example.org"}
GITLAB_CI = {"GITLAB_CI": "true", "CI_PROJECT_PATH": "fork/x", "CI_MERGE_REQUEST_PROJECT_PATH": "team/sub/x",
             "CI_SERVER_URL": "https://example.org/gitlab"}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "environ", "repository", "url", "expected"),
    [
        ({}, {}, "https://github.com/team/x.git", "", ("github", "https://github.com", "team/x")),
        ({}, {}, "git@gitlab.com:team/sub/x.git", "", ("gitlab", "https://gitlab.com", "team/sub/x")),
        ({}, {}, "git@github.com:/team/x.git", "", ("github", "https://github.com", "team/x")),
        ({}, {}, "ssh://git@ssh.github.com:443/team/x.git", "", ("github", "https://github.com", "team/x")),
        ({}, {}, "git+ssh://git@altssh.gitlab.com:443/a/b.git", "", ("gitlab", "https://gitlab.com", "a/b")),
        ({}, {}, "ssh://git@bitbucket.example.org:7999/PRJ/x.git", "",
         ("bitbucket", "https://bitbucket.example.org", "PRJ/x")),
        ({}, {}, "ssh://git@codeberg.org:2222/team/x", "", ("gitea", "https://codeberg.org", "team/x")),
        ({}, {}, "https://gitlab.host.org:8443/a/b/c.git", "", ("gitlab", "https://gitlab.host.org:8443", "a/b/c")),
        ({}, {}, "git@git.example.org:a/b.git", "https://git.example.org/a/b/-/merge_requests/7",
         ("gitlab", "https://git.example.org", "a/b")),
        ({}, {}, "git@git.example.org:a/b.git", "https://git.example.org/a/b/pulls/7",
         ("gitea", "https://git.example.org", "a/b")),
        ({}, {}, "git@git.example.org:a/b.git", "https://git.example.org/a/b/pull/7",
         ("github", "https://git.example.org", "a/b")),
        ({}, ACTIONS, "https://elsewhere/o/x", "", ("github", "https://ghe.example.org", "team/x")),
        ({}, ACTIONS | {"GITEA_ACTIONS": "true"}, "", "", ("gitea", "https://ghe.example.org", "team/x")),
        ({}, GITLAB_CI, "", "", ("gitlab", "https://example.org/gitlab", "team/sub/x")),
        ({"kind": "gitea"}, {}, "https://git.example.org/a/b", "", ("gitea", "https://git.example.org", "a/b")),
        ({"kind": "gitlab", "url": "https://host/git/lab/"}, {}, "https://host/git/lab/a/b/c.git", "",
         ("gitlab", "https://host/git/lab", "a/b/c")),
        # An API's address stands for the pages'.
        ({"kind": "github", "url": "https://git.example.org/api/v3/"}, {}, "git@git.example.org:a/b.git", "",
         ("github", "https://git.example.org", "a/b")),
        ({"url": "https://gitlab.host.org/git/lab/api/v4"}, {}, "https://gitlab.host.org/git/lab/a/b/c.git", "",
         ("gitlab", "https://gitlab.host.org/git/lab", "a/b/c")),
        ({"url": "https://codeberg.org/api/v1"}, {}, "git@codeberg.org:a/b", "",
         ("gitea", "https://codeberg.org", "a/b")),
        ({"kind": "bitbucket", "url": "https://host/rest/api/1.0"}, {}, "https://host/scm/prj/x.git", "",
         ("bitbucket", "https://host", "prj/x")),
        ({"kind": "bitbucket", "url": "https://host/bb/rest/api/latest"}, {}, "https://host/bb/scm/prj/x.git", "",
         ("bitbucket", "https://host/bb", "prj/x")),
        ({"url": "https://api.github.com"}, {}, "git@github.com:a/b", "", ("github", "https://github.com", "a/b")),
        ({"url": "https://api.bitbucket.org/2.0"}, {}, "git@bitbucket.org:a/b", "",
         ("bitbucket", "https://bitbucket.org", "a/b")),
        ({"url": "https://github.com", "repository": "other/y"}, {}, "https://gitlab.com/a/b", "",
         ("github", "https://github.com", "other/y")),
        ({"repository": "upstream/x"}, {}, "https://github.com/me/x", "",
         ("github", "https://github.com", "upstream/x")),
    ],
)  # fmt: skip
def test_the_forge_is_found(
    settings: dict[str, Any], environ: dict[str, str], repository: str, url: str, expected: tuple[str, str, str]
) -> None:
    found = locate_forge(ForgeSettings(**settings), environ, change(repository, url))
    assert found is not None
    assert (found.kind, found.url, found.repository) == expected


@pytest.mark.parametrize("repository", ["", "/srv/git/x.git", "file:///srv/x", "https://git.example.org/a/b"])
def test_where_nothing_tells_there_is_no_forge(repository: str) -> None:
    assert locate_forge(ForgeSettings(), {}, change(repository)) is None


@pytest.mark.parametrize(
    ("settings", "repository", "word"),
    [
        ({"kind": "github"}, "/srv/x.git", "forge.url"),
        ({"url": "https://git.example.org"}, "", "forge.kind"),
        ({"url": "git.example.org", "kind": "gitea"}, "", "https://"),
        ({"url": "https://me:secret@git.example.org", "kind": "gitea"}, "", "MLBUTLER_FORGE_TOKEN"),
        ({"url": "https://git.example.org", "kind": "gitea"}, "", "forge.repository"),
        ({}, "https://github.com/x", "forge.repository"),
    ],
)
def test_what_is_missing_is_named(settings: dict[str, Any], repository: str, word: str) -> None:
    with pytest.raises(SettingsError) as caught:
        locate_forge(ForgeSettings(**settings), {}, change(repository))
    assert word in caught.value.remedy
    assert "secret" not in caught.value.message


@given(st.text())
def test_any_text_is_an_address_or_none(text: str) -> None:
    parse_address(text)


OURS = ForgeLocation("github", "https://github.com", "team/x")
EVIL = ForgeLocation("github", "https://evil.example.org", "team/x")


def check_agreed(
    text: str,
    there: ForgeLocation,
    before: str,
    source: str = "mlbutler.toml",
    kind: str = "pull-request",
    environ: dict[str, str] | None = None,
) -> None:
    settings = parse_settings(text)
    sources = {
        f"forge.{key}": source if getattr(settings.forge, key) else "default" for key in ForgeSettings.__struct_fields__
    }
    ours = change("https://github.com/team/x", kind=kind)
    require_agreed(
        LoadedSettings(settings, sources), there, ours, environ or {}, lambda: [parse_settings(before).forge]
    )


@pytest.mark.parametrize("key", ["url", "api"])
def test_a_pull_request_cannot_send_the_token_elsewhere(key: str) -> None:
    text = f'[forge]\nkind = "github"\n{key} = "https://evil.example.org"\n'
    there = EVIL if key == "url" else ForgeLocation("github", OURS.url, OURS.repository, api="https://evil.example.org")
    with pytest.raises(SettingsError) as caught:
        check_agreed(text, there, '[forge]\nkind = "github"\n')
    assert f"MLBUTLER_FORGE_{key.upper()}" in caught.value.remedy
    check_agreed(text, there, text)  # the target branch says the same
    check_agreed(text, there, "", source="MLBUTLER_FORGE_URL")  # the agent says so
    check_agreed(text, there, "", kind="local")  # one's own machine
    with pytest.raises(SettingsError):  # a CI server that is not known by name
        check_agreed(text, there, "", kind="local", environ={"CI": "true"})


def test_a_target_branch_that_is_not_known_agrees_to_nothing_and_the_error_says_so() -> None:
    settings = parse_settings('[forge]\nkind = "github"\nurl = "https://evil.example.org"\n')
    loaded = LoadedSettings(settings, {"forge.kind": "mlbutler.toml", "forge.url": "mlbutler.toml"})
    ours = change("https://github.com/team/x", kind="pull-request")
    with pytest.raises(SettingsError, match=r"the target branch, .* has no settings or is not known here") as caught:
        require_agreed(loaded, EVIL, ours, {}, list)
    assert "MLBUTLER_FORGE_KIND and MLBUTLER_FORGE_URL" in caught.value.remedy


def test_a_pull_request_cannot_publish_to_another_repository() -> None:
    with pytest.raises(SettingsError, match=r"forge\.repository"):
        check_agreed('[forge]\nrepository = "other/y"\n', ForgeLocation("github", OURS.url, "other/y"), "")


def test_the_kind_alone_sends_the_token_nowhere_else() -> None:
    check_agreed('[forge]\nkind = "github"\n', OURS, "")
    check_agreed("", OURS, "")
