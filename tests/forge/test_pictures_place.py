"""Pictures of a comment in a folder, a bucket and another repository, as a reviewer's browser asks for them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.git.address import RemoteAccess, parse_git_address
from mlbutler.record import Outcome
from mlbutler.steps import publish
from mlbutler.steps.context import Trust
from tests.forge.dialects import GitHub, GitLab
from tests.forge.fake import FakeForge, serving
from tests.forge.test_publish import Git, at_forge, clone, pictures_of, run_context, with_curve
from tests.http_client import plain

__all__ = ["clone"]
_OLD = "plot-00000000000000000000.svg"


@pytest.fixture(params=[GitHub, GitLab], ids=lambda dialect: dialect.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    """One forge without a place for pictures, one with."""
    with serving(request.param()) as server:
        yield server


def publish_pictures(
    clone: Path,
    git: Git,
    server: FakeForge,
    settings: dict[str, str],
    access: RemoteAccess | None = None,
    by: str = "MLBUTLER_COMMENT_...",
) -> list[str]:
    """Publish with these settings of the agent's environment, or `by` a file's; return the pictures' addresses."""
    lines = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
    job = at_forge(with_curve(run_context(clone, git(clone, "rev-parse", "HEAD"))), server, f"[comment]\n{lines}")
    given = {f"comment.{key}": by for key in settings}
    job.loaded = replace(job.loaded, sources={**job.loaded.sources, **given})
    job.trust = Trust(access=access)
    assert publish.run(job).outcome is Outcome.PASSED
    (note,) = server.dialect.on("17")
    return pictures_of(note)


def test_in_a_folder_they_lie_by_their_content_and_old_ones_go(
    clone: Path, git: Git, server: FakeForge, tmp_path: Path
) -> None:
    folder = tmp_path / "www"
    folder.mkdir()
    for name in (_OLD, "index.html"):
        (folder / name).write_text("old")
        os.utime(folder / name, (1e9, 1e9))
    asked = {"pictures_in": str(folder), "pictures_at": "https://pictures.example/p/"}
    (address,) = publish_pictures(clone, git, server, asked)
    name = address.removeprefix("https://pictures.example/p/")
    assert sorted(path.name for path in folder.iterdir()) == sorted(["index.html", name])
    assert "<svg" in (folder / name).read_text()
    assert server.dialect.files == {}
    os.utime(folder / name, (1e9, 1e9))
    assert publish_pictures(clone, git, server, asked) == [address]
    assert time.time() - (folder / name).stat().st_mtime < 3600, "what is shown is young"


def test_a_pull_request_cannot_name_the_place(clone: Path, git: Git, server: FakeForge, tmp_path: Path) -> None:
    own = {"pictures_in": str(tmp_path / "www"), "pictures_at": "https://pictures.example"}
    (address,) = publish_pictures(clone, git, server, own, by="mlbutler.toml")
    assert "pictures.example" not in address
    assert not (tmp_path / "www").exists()


@pytest.mark.parametrize("server", [GitHub], indirect=True)
def test_in_a_bucket_they_can_be_seen(
    clone: Path, git: Git, server: FakeForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    bucket = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    bucket.start()
    host, port = bucket.get_host_and_port()
    at = f"http://{host}:{port}/pictures/digits"
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAPLANTED000000000", "AWS_SECRET_ACCESS_KEY": "planted/secret",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::pictures/*"}
    policy = {"Version": "2012-10-17", "Statement": [everybody]}
    plain().put(f"http://{host}:{port}/pictures")
    assert plain().put(f"http://{host}:{port}/pictures?policy", json=policy).is_success
    asked = {"pictures_in": "s3://pictures/digits", "pictures_at": at}
    try:
        (address,) = publish_pictures(clone, git, server, asked)
        seen = plain().get(address)
        assert (seen.status_code, seen.headers["content-type"]) == (200, "image/svg+xml")
        assert "<svg" in seen.text
        assert publish_pictures(clone, git, server, asked | {"keep": "1d"}) == [address]
    finally:
        bucket.stop()


@pytest.mark.parametrize("on_ci", [False, True])
def test_in_another_repository_there_is_nothing_but_them(
    clone: Path, git: Git, server: FakeForge, tmp_path: Path, on_ci: bool
) -> None:
    other = tmp_path / "pictures.git"
    git(tmp_path, "init", "-q", "--bare", str(other))
    asked = {"pictures_in": str(other), "pictures_at": "https://git.example/p/raw/{commit}/{path}"}
    access = RemoteAccess(parse_git_address(str(clone.parent / "bare.git")), fresh=False) if on_ci else None
    addresses = publish_pictures(clone, git, server, asked, access)
    (branch,) = git(other, "for-each-ref", "--format=%(refname:short)").split()
    assert branch.startswith("mlbutler/pictures-")
    assert branch.endswith("-17")
    commit, (name,) = git(other, "rev-parse", branch), git(other, "ls-tree", "-r", "--name-only", branch).split()
    assert addresses == [f"https://git.example/p/raw/{commit}/{name}"]
    assert "mlbutler/report-17" not in git(clone.parent / "bare.git", "for-each-ref")


@pytest.mark.parametrize(("settings", "said"), [
    ({"pictures_in": "https://elsewhere.example/team/pictures.git"}, "on another host"),
    ({"pictures_in": "/proc/none/folder", "pictures_at": "https://pictures.example"}, "did not take the pictures"),
    ({"pictures_in": "/tmp/somewhere"}, "at which address"),
])  # fmt: skip
def test_where_they_cannot_be_put_the_comment_goes_without(
    clone: Path, git: Git, server: FakeForge, settings: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(Console, "line", lambda console, text: lines.append(text))
    addresses = publish_pictures(clone, git, server, settings)
    assert addresses == []
    assert said in " ".join(lines)
