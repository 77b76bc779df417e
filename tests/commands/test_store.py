from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from mlbutler.store.local import LocalStore
from mlbutler.store.upkeep import mark, uses
from tests.commands.conftest import Cli
from tests.store.world import add_directory, add_object

VERB = "store"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mirror(tmp_path: Path) -> LocalStore:
    store = LocalStore("mirror", tmp_path / "mirror")
    mark.mark_if_empty(store.root)
    add_directory(store.root, {"a.txt": b"a" * 1000, "b.txt": b"b" * 2000})
    return store


def test_status(cli: Cli, mirror: LocalStore, capsys: pytest.CaptureFixture[str]) -> None:
    held = uses.acquire(mirror.root, [add_object(mirror.root, b"c" * 1000)])
    assert cli("status", "--mirror", "mirror", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    held.close()
    assert {key: found[key] for key in ("objects", "directories", "limit", "running_builds", "artifacts_used")} == {
        "objects": 4, "directories": 1, "limit": None, "running_builds": 1, "artifacts_used": 1,
    }  # fmt: skip
    assert found["bytes"] == sum(path.stat().st_size for path in mirror.root.glob("files/md5/*/*"))
    assert cli("status", "--mirror", "mirror") == 0
    assert "4 objects, 1 of them directories" in capsys.readouterr().out


def test_verify(cli: Cli, mirror: LocalStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("verify", "--mirror", "mirror") == 0
    assert "all are whole" in capsys.readouterr().out
    oid = add_object(mirror.root, b"whole")
    mirror.path(oid).write_bytes(b"hurt.")
    assert cli("verify", "--mirror", "mirror", "--json") == 1
    assert json.loads(capsys.readouterr().out)["damaged"] == [oid.key]
    assert mirror.stat(oid) is None


def test_prune_by_limit_and_age(
    cli: Cli, mirror: LocalStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("prune", "--mirror", "mirror", "--limit", "1") == 0
    out = capsys.readouterr().out
    assert "0 objects evicted" in out  # all has just come
    assert "above the limit of 1 B" in out
    later = time.time() + 86400
    monkeypatch.setattr("mlbutler.store.upkeep.prune.time.time", lambda: later)
    assert cli("prune", "--mirror", "mirror", "--limit", "2.5 KB", "--dry-run") == 0
    assert "1 object would be evicted" in capsys.readouterr().out
    assert cli("prune", "--mirror", "mirror", "--older-than", "12h", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["objects"], found["left_objects"], found["dry_run"]) == (3, 0, False)


@pytest.mark.parametrize(("words", "said"), [
    (("prune",), "No mirror is set"),
    (("status", "--mirror", "nowhere"), "There is no mirror"),
    (("verify", "--mirror", "nowhere"), "There is no mirror"),
    (("prune", "--mirror", "nowhere"), "There is no mirror"),
    (("prune", "--mirror", "mirror", "--limit", "many"), "--limit"),
    (("prune", "--mirror", "mirror", "--older-than", "-3d"), "--older-than"),
])  # fmt: skip
def test_bad_input(
    cli: Cli, mirror: LocalStore, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert cli(*words) in (2, 3)
    assert said in capsys.readouterr().err


def test_the_mirror_and_its_limit_come_from_the_settings(
    cli: Cli, mirror: LocalStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLBUTLER_DATA_MIRROR", str(mirror.root))
    monkeypatch.setenv("MLBUTLER_DATA_MIRROR_LIMIT", "200 GB")
    assert cli("status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["limit"] == 200 * 1024**3
    assert found["mirror"] == os.fspath(mirror.root)


@pytest.mark.parametrize(("words", "said"), [
    (("--limit", "20X"), "--limit must be a size, as 5000 or '200 GB', not '20X'."),
    (("--older-than", "30y"), "--older-than must be a duration, as 90, '90s', '15m', '2h' or '1d', not '30y'."),
])  # fmt: skip
def test_a_wrong_size_or_age_is_told_with_its_option(
    cli: Cli, mirror: LocalStore, capsys: pytest.CaptureFixture[str], words: tuple[str, str], said: str
) -> None:
    assert cli("prune", "--mirror", "mirror", *words) == 2
    assert f"error: {said}\n" in capsys.readouterr().err


def test_prune_by_age_says_why_nothing_goes(cli: Cli, mirror: LocalStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("prune", "--mirror", "mirror", "--older-than", "1s") == 0
    assert "What was used within the last hour always stays.\n" in capsys.readouterr().out
