from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.errors import UntrustedRemote
from mlbutler.remotes.trust import (
    describe_moves,
    from_text,
    refused_remotes,
    require_places,
    require_trusted,
    sections,
    without_moved_mirror,
)
from mlbutler.settings import load

HOME = b"""\
[core]
    remote = origin
['remote "origin"']
    url = https://dagshub.com/team/x.dvc
    auth = basic
"""


def tree(root: Path, config: str, local: str = "") -> Path:
    (root / ".dvc").mkdir(exist_ok=True)
    (root / ".dvc" / "config").write_text(config)
    if local:
        (root / ".dvc" / "config.local").write_text(local)
    return root


def remote(name: str = "origin", **keys: str) -> str:
    return f"['remote \"{name}\"']\n" + "".join(f"    {key} = {value}\n" for key, value in keys.items())


def reasons(root: Path, config: str, base: str, local: str = "", **environ: str) -> dict[str, str]:
    return refused_remotes(tree(root, config, local), (from_text(base.encode()),), environ)


BASE = remote(url="https://dagshub.com/team/x.dvc", auth="basic")


@pytest.mark.parametrize(
    "config",
    [
        BASE,
        remote(url="https://dagshub.com/team/other.dvc"),  # another path on the same host
        remote(url="https://DAGSHUB.com/team/x.dvc", jobs="4", read_timeout="9", method="PUT", user="me"),
        remote("renamed", url="https://dagshub.com/team/x.dvc"),
        "",
        "[core",
    ],
)
def test_what_gets_no_other_host_is_used(tmp_path: Path, config: str) -> None:
    assert reasons(tmp_path, config, BASE) == {}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (remote(url="https://evil.example/team/x.dvc"), "https://dagshub.com to https://evil.example"),
        (remote(url="http://dagshub.com/team/x.dvc"), "to http://dagshub.com"),
        (remote(url="https://dagshub.com:8443/team/x.dvc"), "to https://dagshub.com:8443"),
        (remote(url="https://dagshub.com@evil.example/x"), "to https://evil.example"),
        (remote(url="ssh://evil.example/x"), "to ssh://evil.example"),
        (remote(url="https://dagshub.com/team/x.dvc", ssl_verify="false"), "sets its ssl_verify differently"),
        (remote(url="s3://bucket/x", configpath="evil.cfg"), "https://dagshub.com to s3://"),
        (remote("new", url="https://evil.example/x"), "has no such remote"),
        (remote(url="/srv/remote"), "https://dagshub.com to the directory /srv/remote"),
        (remote(url="file:///srv/remote"), "to the directory /srv/remote"),
        (remote("place", url="../remote"), "none on the directory ../remote"),
    ],
)
def test_another_host_or_other_files_are_refused(tmp_path: Path, config: str, said: str) -> None:
    found = reasons(tmp_path, config, BASE)
    assert len(found) == 1
    assert said in next(iter(found.values()))
    with pytest.raises(UntrustedRemote) as error:
        require_trusted(next(iter(found)).upper(), found)
    assert "MLBUTLER_REMOTE_HOSTS" in error.value.remedy
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("before", "after", "is_refused"),
    [
        ({"url": "s3://one/x"}, {"url": "s3://two/x"}, False),
        ({"url": "s3://one/x"}, {"url": "s3://one/x", "endpointurl": "https://evil.example"}, True),
        ({"url": "s3://one/x"}, {"url": "s3://one/x", "configpath": "c"}, True),
        ({"url": "s3://one/x"}, {"url": "s3://one/x", "credentialpath": "c"}, True),
        ({"url": "s3://one/x"}, {"url": "s3://one/x", "profile": "p"}, True),
        ({"url": "s3://one/x", "profile": "p"}, {"url": "s3://one/y", "profile": "p"}, False),
        ({"url": "ssh://host/x"}, {"url": "ssh://host/x", "keyfile": "k"}, True),
    ],
)
def test_s3_and_ssh(tmp_path: Path, before: dict[str, str], after: dict[str, str], is_refused: bool) -> None:
    assert bool(reasons(tmp_path, remote(**after), remote(**before))) is is_refused


def test_a_file_beside_the_configuration_is_looked_at_too(tmp_path: Path) -> None:
    local = remote(url="https://evil.example/x")
    assert list(reasons(tmp_path, BASE, BASE, local)) == ["origin"]
    assert reasons(tmp_path, BASE, BASE, remote(user="me", password="secret")) == {}


def test_the_agent_can_allow_a_host(tmp_path: Path) -> None:
    moved = remote(url="https://new.example/team/x.dvc")
    assert reasons(tmp_path, moved, BASE, MLBUTLER_REMOTE_HOSTS="old.example, new.example") == {}
    moved = remote(url="https://new.example:8443/team/x.dvc")
    assert reasons(tmp_path, moved, BASE, MLBUTLER_REMOTE_HOSTS="new.example:8443") == {}
    assert list(reasons(tmp_path, moved, BASE, MLBUTLER_REMOTE_HOSTS="new.example:9000, :8443")) == ["origin"]
    tricky = remote(url="https://new.example/team/x.dvc", ssl_verify="false")
    assert list(reasons(tmp_path, tricky, BASE, MLBUTLER_REMOTE_HOSTS="new.example")) == ["origin"]


def test_a_clone_of_ones_own_is_trusted(tmp_path: Path) -> None:
    assert refused_remotes(tree(tmp_path, remote(url="https://anywhere.example/")), None, {}) == {}


def test_the_text_of_a_configuration() -> None:
    assert sections(HOME) == {"origin": {"url": "https://dagshub.com/team/x.dvc", "auth": "basic"}}
    assert sections(b"\xff[['") == {}


DIRECTORY = remote(url="/srv/dvc")


@pytest.mark.parametrize(
    ("config", "base", "is_refused"),
    [
        (DIRECTORY, DIRECTORY, False),
        (remote(url="/srv/dvc/"), DIRECTORY, False),
        (remote("renamed", url="/srv/dvc"), DIRECTORY, False),
        (remote(url="/srv/dvc2"), DIRECTORY, True),
        (remote(url="/srv/dvc/../other"), DIRECTORY, True),
        (remote(url="file:///srv/other"), DIRECTORY, True),
        (remote(url="https://evil.example/"), DIRECTORY, True),
        (remote(url="remote://base/../../x"), remote(url="remote://base/x"), True),
    ],
)
@pytest.mark.parametrize("anonymous", [False, True])
def test_a_directory_is_used_only_where_the_target_branch_names_it(
    tmp_path: Path, config: str, base: str, is_refused: bool, anonymous: bool
) -> None:
    found = refused_remotes(tree(tmp_path, config), (from_text(base.encode()),), {}, anonymous=anonymous)
    assert bool(found) is (is_refused and not (anonymous and "://" in config and "file:" not in config))


def test_the_agent_can_allow_a_directory_and_what_is_below_it(tmp_path: Path) -> None:
    allowed = {"MLBUTLER_REMOTE_HOSTS": f"new.example, {tmp_path}/srv"}
    for url, count in ((f"{tmp_path}/srv/x", 0), (f"{tmp_path}/srv/../x", 1), (f"{tmp_path}/srv2", 1)):
        assert len(refused_remotes(tree(tmp_path, remote(url=url)), (from_text(BASE.encode()),), allowed)) == count


TWO = remote("public", url="https://dagshub.com/p.dvc") + remote("private", url="https://data.example/p")


def core(name: str) -> str:
    return f"[core]\n    remote = {name}\n{TWO}"


def test_another_of_two_agreed_remotes_is_not_made_the_project_s_by_the_change(tmp_path: Path) -> None:
    base = (from_text(core("private").encode()),)
    assert refused_remotes(tree(tmp_path, core("private")), base, {}, chosen="") == {}
    found = refused_remotes(tree(tmp_path, core("public")), base, {}, chosen="")
    assert list(found) == ["public"]
    assert "in place of private" in found["public"]
    assert list(refused_remotes(tree(tmp_path, core("private")), base, {}, chosen="public")) == ["public"]
    assert refused_remotes(tree(tmp_path, core("public")), base, {}, chosen=None) == {}  # the environment says which


@pytest.mark.parametrize(
    ("config", "is_refused"),
    [
        ("[cache]\n    dir = /srv/other\n", True),
        ("[cache]\n    dir = ../../other\n", True),
        ("[core]\n    site_cache_dir = /home/butler/.ssh\n", True),
        ("[cache]\n    dir = ../inside\n", False),
        ("[cache]\n    dir = /srv/agreed\n", False),
        ("[cache]\n    type = copy\n", False),
    ],
)
def test_dvc_s_own_directories_stay_where_the_target_branch_has_them(
    tmp_path: Path, config: str, is_refused: bool
) -> None:
    known = (from_text(b"[cache]\n    dir = /srv/agreed\n"),)
    if not is_refused:
        require_places(tree(tmp_path, config), known)
        return
    with pytest.raises(UntrustedRemote) as error:
        require_places(tree(tmp_path, config), known)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(("key", "ours"), [("mirror", "/srv/mirror"), ("mirror_remote", "near")])
def test_a_mirror_that_only_the_change_names_is_not_used(tmp_path: Path, key: str, ours: str) -> None:
    (tree(tmp_path, "") / "mlbutler.toml").write_text(f'[data]\n{key} = "other"\n')
    known = (from_text(b"", mirrors={key: ours}),)
    loaded = load(tmp_path, {})
    assert getattr(without_moved_mirror(loaded, known).settings.data, key) is None
    assert any(f"data.{key} to other, in place of {ours}" in line for line in describe_moves(tmp_path, loaded, known))
    given = load(tmp_path, {f"MLBUTLER_DATA_{key}".upper(): "agents"})
    assert getattr(without_moved_mirror(given, known).settings.data, key) == "agents"
    assert getattr(without_moved_mirror(loaded, None).settings.data, key) == "other"
    agreed = (from_text(b"", mirrors={key: "other"}),)
    assert getattr(without_moved_mirror(loaded, agreed).settings.data, key) == "other"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (BASE, []),
        (remote(url="https://dagshub.com/team/other.dvc"), ["from https://dagshub.com/team/x.dvc to"]),
        (remote(url="/srv/x"), ["moves the DVC remote 'origin' from https://dagshub.com/team/x.dvc to /srv/x",
                                ]),
        (BASE + remote("more", url="https://u:p@more.example/"), ["adds the DVC remote 'more', at https://more.example/",
                                                                 "makes 'none' the project's"]),
        ("", ["removes the DVC remote 'origin'", "makes 'none' the project's"]),
        (remote(url="https://dagshub.com/team/x.dvc", ssl_verify="false"), ["sets its ssl_verify differently"]),
    ],
)  # fmt: skip
def test_every_change_of_a_remote_is_told(tmp_path: Path, config: str, said: list[str]) -> None:
    found = describe_moves(tree(tmp_path, config), load(tmp_path, {}), (from_text(BASE.encode()),))
    assert len(found) == len(said)
    assert all(part in line for part, line in zip(said, found, strict=True))
    assert "u:p@" not in str(found)


def test_nothing_is_called_new_where_the_target_branch_is_not_known(tmp_path: Path) -> None:
    assert describe_moves(tree(tmp_path, BASE), load(tmp_path, {}), ()) == ()


MOVED = "https://evil.example/x"
TITLES = {
    "without a space": f"['remote\"origin\"']\n    url = {MOVED}\n",
    "in capitals": f"['REMOTE \"Origin\"']\n    URL = {MOVED}\n",
    "a section in a section": f"[remote]\n[['origin']]\n    url = {MOVED}\n",
    "behind the agreed one": f"{BASE}[remote]\n[['origin']]\n    url = {MOVED}\n",
    "a key in capitals behind the agreed one": f"{BASE}    URL = {MOVED}\n",
    "filled in": f"[DEFAULT]\n    x = {MOVED}\n['remote \"origin\"']\n    url = %(x)s\n",
    "in quotes": f'[\'remote "origin"\']\n    url = "{MOVED}"\n',
}


def as_dvc_reads(root: Path) -> dict[str, Any]:
    """The remotes in ``.dvc/config``, by DVC's own reader."""
    from dvc.config import Config

    return dict(Config.load_file(str(root / ".dvc" / "config"))["remote"])


@pytest.mark.parametrize("case", TITLES)
def test_a_remote_is_found_however_dvc_lets_it_be_written(tmp_path: Path, case: str) -> None:
    found = reasons(tmp_path, TITLES[case], BASE)
    assert as_dvc_reads(tmp_path)["origin"]["url"] == MOVED
    assert "to https://evil.example" in found["origin"]


def test_a_value_that_the_change_fills_in_otherwise_is_another_value(tmp_path: Path) -> None:
    written = "[DEFAULT]\n    x = {}\n['remote \"origin\"']\n    url = %(x)s\n"
    assert reasons(tmp_path, written.format("https://a.example/x"), written.format("https://a.example/y")) == {}
    found = reasons(tmp_path, written.format("https://evil.example/x"), written.format("https://a.example/y"))
    assert "to https://evil.example" in found["origin"]


_LINES = st.sampled_from(
    ["[core]", "[remote]", "[[origin]]", "[['ORIGIN']]", "['remote \"origin\"']", "['remote\"origin\"']",
     "[Remote 'x']", "['REMOTE \"a\"']", "['db \"origin\"']", "['remote \"origin\" ']", "[DEFAULT]", "remote = origin",
     "x = https://b/", "url = https://a/", "URL = https://evil/", "url = %(x)s", "url = 'https://c/' # d", "url = a, b",
     "user = \'\'\'", "\'\'\'", "# \x0b url = https://e/", "# \u2028", "# \r", "    url = \"https://f/\"", ""]
)  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(st.lists(_LINES, max_size=9))
def test_what_dvc_takes_for_a_remote_is_one_here(lines: list[str]) -> None:
    with TemporaryDirectory() as folder:
        text = "\n".join(lines)
        root = tree(Path(folder), "")
        (root / ".dvc" / "config").write_bytes(text.encode())
        try:
            remotes = as_dvc_reads(root)
        except Exception:  # whatever its parser raises: DVC opens no such project
            return
        named = {name: section for name, section in remotes.items() if isinstance(section, dict)}
        read = {name: {key: str(value) for key, value in section.items()} for name, section in named.items()}
        assert sections(text.encode()) == read


def test_a_path_on_a_remote_that_the_change_moves_is_refused_too(tmp_path: Path) -> None:
    further = remote("images", url="remote://origin/images") + remote("small", url="remote://IMAGES/small")
    assert reasons(tmp_path, BASE + further, BASE + further) == {}
    found = reasons(tmp_path, remote(url=MOVED) + further, BASE + further)
    assert sorted(found) == ["images", "origin", "small"]
    assert "evil.example" in found["images"]


def test_addresses_that_go_round_in_circles_are_looked_at_once(tmp_path: Path) -> None:
    circle = remote("a", url="remote://b/x") + remote("b", url="remote://a/x")
    assert reasons(tmp_path, circle, circle) == {}


def test_a_remote_does_not_get_the_place_of_another_with_other_credentials(tmp_path: Path) -> None:
    other = remote("public", url="https://public.example/x")
    assert reasons(tmp_path, BASE + other, BASE + other) == {}
    found = reasons(tmp_path, remote(url="https://public.example/y") + other, BASE + other)
    assert "to https://public.example" in found["origin"]
