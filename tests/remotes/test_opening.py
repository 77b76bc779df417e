from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.errors import MlbutlerError, ProjectError, StoreError
from mlbutler.project.project import Project
from mlbutler.remotes.opening import Remotes, open_mirror, open_remote
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import ObjectId, Presence
from mlbutler.store.local import LocalStore
from mlbutler.store.other import OtherStore
from tests.store.dvc_world import clone
from tests.store.world import PASSWORD, USER, Remote

Configure = Callable[[str], Project]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """A project with the given text in .dvc/config."""
    root = clone(tmp_path / "clone", "/unused")
    (root / ".dvc" / "config.local").unlink()

    def make(text: str) -> Project:
        (root / ".dvc" / "config").write_text(text)
        return Project(root, {})

    return make


def remote(url: str, more: str = "", name: str = "origin") -> str:
    return f"['remote \"{name}\"']\n    url = {url}\n{more}"


def test_each_kind_of_remote_gets_its_store(configure: Configure, tmp_path: Path) -> None:
    project = configure(
        remote("../../storage") + remote("https://x.org/r", name="web") + remote("s3://bucket/r", name="s3")
        + remote("remote://web/below", name="through")
    )  # fmt: skip
    local = open_remote(project, "origin")
    assert isinstance(local, LocalStore)
    assert local.root.resolve() == (tmp_path / "storage").resolve()
    web, through = open_remote(project, "web"), open_remote(project, "through")
    assert isinstance(web, HttpStore)
    assert isinstance(through, HttpStore)
    assert (web.url, through.url) == ("https://x.org/r", "https://x.org/r/below")
    assert isinstance(open_remote(project, "s3"), OtherStore)


def test_a_local_remote_that_was_never_written_is_empty_but_an_unmounted_one_is_unknown(configure: Configure) -> None:
    absent = ObjectId("0" * 32)
    fresh = open_remote(configure(remote("../../storage")), "origin")
    assert fresh.ask([absent])[absent].presence is Presence.MISSING
    with pytest.raises(StoreError, match="does not exist"):
        open_remote(configure(remote("/mnt/no-such-disk/storage")), "origin")


@pytest.mark.parametrize(
    ("config", "name", "kind"),
    [
        ("", None, ProjectError),
        (remote("/x"), "unknown", ProjectError),
        (remote("s3://bucket/r", "    version_aware = true\n"), "origin", StoreError),
        (remote("https://x.org", "    auth = custom\n"), "origin", MlbutlerError),
        (remote("https://x.org", "    auth = basic\n"), "origin", MlbutlerError),
        (remote("https://x.org", "    ssl_verify = /no/such/file\n"), "origin", MlbutlerError),
        (remote("hdfs://x.org/r"), "origin", StoreError),
    ],
)
def test_a_remote_that_cannot_be_used_says_why_and_what_to_do(
    configure: Configure, config: str, name: str | None, kind: type[MlbutlerError]
) -> None:
    project = configure(config)
    with pytest.raises(kind) as caught:
        store = open_remote(project, name)
        store.put(ObjectId("0" * 32), Path(__file__), lambda _: None)  # plugins are missed when first used
    assert caught.value.message
    assert caught.value.remedy


def test_remotes_are_opened_once_and_fail_each_time_the_same(configure: Configure) -> None:
    project = configure(remote("../../storage") + remote("/mnt/no-such-disk/x", name="bad"))
    remotes = Remotes(project, "origin", {})
    assert remotes(None) is remotes("origin")
    for _ in range(2):
        with pytest.raises(StoreError):
            remotes("bad")
    assert Remotes(project, None, {})(None) is None


def test_credentials_from_dvc_s_configuration_of_all_levels(
    configure: Configure, isolated_environment: Path, make_remote: Callable[..., Remote]
) -> None:
    server = make_remote(auth="basic")
    folder = isolated_environment / "dvc-global"
    folder.mkdir()
    (folder / "config").write_text(
        remote(server.url, f"    auth = basic\n    user = {USER}\n    password = {PASSWORD}\n"), encoding="utf-8"
    )
    absent = ObjectId("0" * 32)
    answer = open_remote(configure(remote(server.url)), "origin").ask([absent])[absent]
    assert answer.presence is Presence.MISSING, answer.reason


def test_a_mirror_shares_files_only_with_trusted_runs(configure: Configure, tmp_path: Path) -> None:
    project = configure("")
    assert open_mirror(None, project, trusted=True) is None
    source = tmp_path / "source"
    source.write_bytes(b"content")
    oid = ObjectId("9a0364b9e99bb480dd25e1f0284c8555")
    for number, (options, linked) in enumerate(
        [({"trusted": True}, True), ({"trusted": False}, False), ({"trusted": True, "link": "copy"}, False)]
    ):
        mirror = open_mirror(tmp_path / f"mirror{number}", project, **options)  # type: ignore[arg-type]
        assert mirror is not None
        mirror.put(oid, source, lambda _: None)
        if not linked:
            assert mirror.path(oid).stat().st_ino != source.stat().st_ino
        assert mirror.path(oid).read_bytes() == b"content"
