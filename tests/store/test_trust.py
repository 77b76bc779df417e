from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import UntrustedRemote
from mlbutler.store.trust import refused, require, sections

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
    return refused(tree(root, config, local), (sections(base.encode()),), environ)


BASE = remote(url="https://dagshub.com/team/x.dvc", auth="basic")


@pytest.mark.parametrize(
    "config",
    [
        BASE,
        remote(url="https://dagshub.com/team/other.dvc"),  # another path on the same host
        remote(url="https://DAGSHUB.com/team/x.dvc", jobs="4", read_timeout="9", method="PUT", user="me"),
        remote("renamed", url="https://dagshub.com/team/x.dvc"),
        remote("place", url="/srv/remote"),  # a directory gets no credentials
        remote("place", url="../remote"),
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
        (remote(url="https://dagshub.com/team/x.dvc", ssl_verify="false"), "sets its ssl_verify otherwise"),
        (remote(url="s3://bucket/x", configpath="evil.cfg"), "https://dagshub.com to s3://"),
        (remote("new", url="https://evil.example/x"), "has no such remote"),
    ],
)
def test_another_host_or_other_files_are_refused(tmp_path: Path, config: str, said: str) -> None:
    found = reasons(tmp_path, config, BASE)
    assert len(found) == 1
    assert said in next(iter(found.values()))
    with pytest.raises(UntrustedRemote) as error:
        require(next(iter(found)).upper(), found)
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
    assert refused(tree(tmp_path, remote(url="https://anywhere.example/")), None, {}) == {}


def test_the_text_of_a_configuration() -> None:
    assert sections(HOME) == {"origin": {"url": "https://dagshub.com/team/x.dvc", "auth": "basic"}}
    assert sections(b"\xff[['") == {}
