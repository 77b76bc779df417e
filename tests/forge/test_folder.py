from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler import atomic
from mlbutler.errors import ForgeError, PathRefused, SettingsError
from mlbutler.forge.detect import ForgeLocation
from mlbutler.forge.folder import Folder, file_name
from mlbutler.forge.interface import CommitStatus, Forge, PictureFile
from mlbutler.forge.opening import Opening
from mlbutler.forge.registry import open_forge
from mlbutler.git import Git
from mlbutler.record import Change
from mlbutler.report.marker import marker
from mlbutler.symlinks import Symlinks

OLD, NEW = "a" * 40, "b" * 40


def change(head: str = OLD, number: str | None = "17") -> Change:
    return Change(ci="jenkins", kind="pull-request", head=head, checkout=head, number=number)


def body(head: str, text: str = "text", title: str = "mlbutler") -> str:
    return f"{text}\n\n{marker(title, head)}\n"


def never(head: str) -> bool:
    return False


def always(head: str) -> bool:
    return True


def test_a_comment_is_updated_in_place(tmp_path: Path) -> None:
    forge = Folder(tmp_path / "forge")
    first = forge.comment(change(OLD), "mlbutler", body(OLD, "first"), never)
    second = forge.comment(change(NEW), "mlbutler", body(NEW, "second"), never)
    path = tmp_path / "forge" / "pull-requests" / "17" / "comments" / "mlbutler.md"
    assert first.location == second.location == str(path)
    assert path.read_text() == body(NEW, "second")
    assert [p.name for p in path.parent.iterdir()] == ["mlbutler.md"]


def test_a_stale_build_leaves_the_comment_of_a_newer_commit(tmp_path: Path) -> None:
    forge = Folder(tmp_path)
    forge.comment(change(NEW), "mlbutler", body(NEW, "newer"), never)
    posted = forge.comment(change(OLD), "mlbutler", body(OLD, "stale"), always)
    assert posted.newer == NEW
    assert "newer" in Path(posted.location).read_text()


def test_the_same_commit_built_again_updates_its_own_comment(tmp_path: Path) -> None:
    forge = Folder(tmp_path)
    forge.comment(change(), "mlbutler", body(OLD, "one"), always)
    posted = forge.comment(change(), "mlbutler", body(OLD, "two"), always)
    assert posted.newer == ""
    assert "two" in Path(posted.location).read_text()


def test_titles_and_pull_requests_have_comments_of_their_own(tmp_path: Path) -> None:
    forge = Folder(tmp_path)
    places = {
        forge.comment(change(number=number), title, body(OLD, title=title), never).location
        for number in ("17", "18")
        for title in ("mlbutler", "mlbutler vision/a", "mlbutler vision_a")
    }
    assert len(places) == 6


@pytest.mark.parametrize(
    "evil", ["../../etc/passwd", "/etc/passwd", "..", ".", "", "a/b", "a\nb\x00c", "\udce9", "x" * 5000]
)
def test_hostile_names_stay_inside_the_folder(tmp_path: Path, evil: str) -> None:
    forge = Folder(tmp_path / "forge")
    comment = forge.comment(change(evil, evil), evil, "text", never).location
    status = forge.status(change(evil), evil, CommitStatus.SUCCESS, evil, evil)
    for place in (comment, status):
        assert Path(place).resolve().is_relative_to((tmp_path / "forge").resolve())
        assert Path(place).is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["forge"]


@given(st.text(max_size=300), st.text(max_size=300))
def test_different_texts_have_different_harmless_names(one: str, other: str) -> None:
    for name in (file_name(one), file_name(other)):
        assert 0 < len(name) <= 120
        assert "/" not in name
        assert not name.startswith(".")
        assert name.isascii()
        assert name.isprintable()
    assert (file_name(one) == file_name(other)) == (one == other)


def test_a_status_says_what_a_forge_would_show(tmp_path: Path) -> None:
    place = Folder(tmp_path).status(
        change(), "mlbutler", CommitStatus.FAILURE, "Worse: f1 0.9 -> 0.8", "https://ci.example.org/1"
    )
    assert Path(place) == tmp_path / "statuses" / f"{OLD}.json"
    document = json.loads(Path(place).read_text())
    assert document["commit"] == OLD
    assert document["state"] == "failure"
    assert document["description"] == "Worse: f1 0.9 -> 0.8"
    assert document["target_url"] == "https://ci.example.org/1"


def test_pictures_are_where_the_comment_looks_for_them(tmp_path: Path) -> None:
    forge = Folder(tmp_path)
    placed = forge.attach(change(), "mlbutler", [PictureFile("plot-1.png", "image/png", b"png")], never)
    comment = Path(forge.comment(change(), "mlbutler", body(OLD), never).location)
    assert (comment.parent / placed["plot-1.png"]).read_bytes() == b"png"


def test_what_a_killed_build_was_writing_goes_with_the_next_one(tmp_path: Path) -> None:
    there = tmp_path / "pull-requests" / "17" / "comments"
    there.mkdir(parents=True)
    (there / f"{atomic.TEMPORARY}x1").write_text("half of a com")
    Folder(tmp_path).comment(change(OLD), "mlbutler", body(OLD), never)
    assert [path.name for path in there.iterdir()] == ["mlbutler.md"]


def test_two_projects_of_one_repository_have_a_status_each(tmp_path: Path) -> None:
    forge = Folder(tmp_path)
    one = forge.status(change(), "mlbutler vision", CommitStatus.SUCCESS, "", "")
    other = forge.status(change(), "mlbutler speech", CommitStatus.FAILURE, "", "")
    assert json.loads(Path(one).read_text())["state"] == "success"
    assert json.loads(Path(other).read_text())["state"] == "failure"


def test_a_place_that_cannot_be_written_is_an_error_worth_a_retry(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ForgeError) as caught:
        Folder(tmp_path / "file").comment(change(), "mlbutler", "text", never)
    assert caught.value.exit_code == 3
    assert caught.value.remedy
    with pytest.raises(ForgeError):
        Folder(tmp_path / "file" / "deeper").status(change(), "mlbutler", CommitStatus.SUCCESS, "", "")


def test_many_builds_at_once_leave_the_newest(tmp_path: Path) -> None:
    heads = [f"{i:040x}" for i in range(1, 9)]

    def post(head: str) -> None:
        Folder(tmp_path).comment(change(head), "mlbutler", body(head, "x" * 20_000), lambda there: head < there)

    threads = [threading.Thread(target=post, args=(head,)) for head in reversed(heads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    path = tmp_path / "pull-requests" / "17" / "comments" / "mlbutler.md"
    assert path.read_text() == body(heads[-1], "x" * 20_000)


def open_folder(tmp_path: Path, url: str) -> Forge:
    return open_forge(Opening(place=ForgeLocation("folder", url, ""), environ={}, root=tmp_path))


def test_the_folder_is_opened_by_path_or_file_url(tmp_path: Path) -> None:
    for url in ("forge", str(tmp_path / "forge"), (tmp_path / "forge").as_uri()):
        place = open_folder(tmp_path, url).status(change(), "mlbutler", CommitStatus.SUCCESS, "", "")
        assert place.startswith(str(tmp_path / "forge"))


@pytest.mark.parametrize("link", ["up", "forge/.lock", "forge/pull-requests/17", "forge/statuses"])
def test_a_folder_in_the_project_is_written_behind_no_link(tmp_path: Path, git: Callable[..., str], link: str) -> None:
    root, outside = tmp_path / "clone", tmp_path / "outside"
    (root / link).parent.mkdir(parents=True)
    outside.mkdir()
    git(root, "init", "-q")
    (root / link).symlink_to(outside / "lock" if link.endswith("lock") else outside)
    git(root, "add", "-A")
    check = Symlinks(root, Git(root), every=False).check_inside
    place = ForgeLocation("folder", "up/forge" if link == "up" else "forge", "")
    forge = open_forge(Opening(place=place, environ={}, root=root, check=check))
    pictures = [PictureFile("p.png", "image/png", b"x")]
    calls: list[Callable[[], object]] = [
        lambda: forge.status(change(), "mlbutler", CommitStatus.SUCCESS, "", ""),
        lambda: forge.comment(change(), "mlbutler", body(OLD), never),
        lambda: forge.attach(change(), "mlbutler", pictures, never),
    ]
    refused = 0
    for call in calls:
        try:
            call()
        except PathRefused:
            refused += 1
    assert refused == (1 if link.endswith("statuses") else 2 if link.endswith("17") else 3)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("url", ["", "https://git.example.org", "file://elsewhere/forge"])
def test_a_folder_forge_without_a_directory_is_a_settings_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_folder(tmp_path, url)
    assert "forge.url" in caught.value.remedy
