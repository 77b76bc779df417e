"""A pull request whose tests rewrite the clone and mlbutler's record, so that later steps hand out a credential."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.elsewhere import Elsewhere
from tests.integration.world import SETTINGS, TESTED, TRAIN, World, make, params

SECRET = "planted-t0ken-0123456789"
ASKING = SETTINGS.replace(TESTED, "python forge.py") + ('[reproduce]\npass_environment = ["PLANTED_TOKEN"]\n')
TELLING = f"{TRAIN}\nimport os\nopen('seen.txt', 'w').write(os.environ.get('PLANTED_TOKEN', 'nothing'))\n"

OBJECTS = '''
"""Put this change's settings in the place of the target branch's, in each object that holds those."""
import pathlib, subprocess, zlib
def git(*args):
    return subprocess.run(["git", *args], capture_output=True, check=True).stdout
text = pathlib.Path("mlbutler.toml").read_bytes()
oid = git("rev-parse", "origin/main:mlbutler.toml").decode().strip()
packs = pathlib.Path(".git/objects/pack")
for pack in list(packs.glob("*.pack")):
    content = pack.read_bytes()
    for file in list(packs.glob(f"{pack.stem}.*")):
        file.unlink()
    subprocess.run(["git", "unpack-objects", "-q"], input=content, check=True)
file = pathlib.Path(".git/objects", oid[:2], oid[2:])
file.unlink(missing_ok=True)
file.parent.mkdir(exist_ok=True)
file.write_bytes(zlib.compress(b"blob %d\\0" % len(text) + text))
'''


def forge_record(root: Path, world: World) -> None:
    """Let the record say that this change grew from itself, and have the target branch stand at its head."""
    file = root / ".mlbutler" / "record.json"
    record = json.loads(file.read_text())
    head = record["change"]["head"]
    record["change"] |= {"base": head, "target_branch": record["change"]["head_branch"]}
    file.write_text(json.dumps(record))
    for name in ("main", "b"):
        world.git(root, "update-ref", f"refs/remotes/origin/{name}", head)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make(tmp_path)


def clone(world: World, forge: str) -> Path:
    files = {"mlbutler.toml": ASKING, "forge.py": forge, "src/train.py": TELLING, "params.yaml": params(0.02)}
    world.branch("b", files)
    return world.clone("origin/b")


def given(root: Path) -> str:
    return (root / "seen.txt").read_text()


def test_forged_objects_give_a_stage_no_credential(world: World) -> None:
    root = clone(world, OBJECTS)
    world.run(root, world.jenkins("b") | {"PLANTED_TOKEN": SECRET})
    assert not (root / "seen.txt").exists() or given(root) == "nothing"


@pytest.mark.parametrize("address", ["origin.git", "gone.git"])
def test_a_forged_record_gives_a_stage_no_credential(world: World, address: str) -> None:
    """Git's remote is asked; where it does not answer, a name in the change's own settings counts for nothing."""
    root, environ = clone(world, ""), world.jenkins("b") | {"PLANTED_TOKEN": SECRET}
    for verb in ("plan", "sync"):
        world.run(root, environ, verb=verb)
    forge_record(root, world)
    world.run(root, environ | {"GIT_URL": str(world.directory / address)}, verb="reproduce")
    assert given(root) == "nothing"


def test_what_the_target_branch_names_is_given(world: World) -> None:
    world.branch("main", {"mlbutler.toml": ASKING, "forge.py": ""})
    root, environ = clone(world, ""), world.jenkins("b") | {"PLANTED_TOKEN": SECRET}
    for verb in ("plan", "sync", "reproduce"):
        world.run(root, environ, verb=verb)
    assert given(root) == SECRET


def forge_change(root: Path, **fields: object) -> None:
    """Let the record tell of the change otherwise than it was found."""
    file = root / ".mlbutler" / "record.json"
    record = json.loads(file.read_text())
    record["change"] |= fields
    file.write_text(json.dumps(record))


def test_a_forged_record_sends_the_forge_s_token_nowhere(world: World, elsewhere: Elsewhere) -> None:
    """Jenkins does not say which forge it is: its address follows from the repository's."""
    world.branch("b", {"mlbutler.toml": SETTINGS.replace('[forge]\nkind = "folder"\n', "")})
    root = world.clone("origin/b")
    environ = world.jenkins("b") | {"MLBUTLER_FORGE_TOKEN": SECRET, "MLBUTLER_FORGE_URL": "", "MLBUTLER_FORGE_KIND": ""}
    world.run(root, environ, verb="plan")
    there = elsewhere.url
    forge_change(root, repository=f"{there}/o/r.git", url=f"{there}/o/r/pulls/1")
    for verb in ("plan", "report", "publish"):
        world.run(root, environ, verb=verb)
    assert elsewhere.came == []


def test_a_forged_record_changes_nothing_of_what_is_known_of_the_change(world: World) -> None:
    root, environ = clone(world, ""), world.jenkins("b")
    world.run(root, environ, verb="plan")
    file = root / ".mlbutler" / "record.json"
    before = json.loads(file.read_text())["change"]
    forge_change(
        root, head_branch="main", git_remote="other", merge=not before["merge"], title="forged", author="forged",
        url="https://evil.example/pull/1", repository="https://evil.example/o/r", message="forged", note="forged",
        build_url="https://evil.example/",
    )  # fmt: skip
    world.run(root, environ, verb="check")
    assert json.loads(file.read_text())["change"] == before
