"""`mlbutler doctor` and the file systems of an agent: real mounts, where this machine lets the tests make them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.doctors import Surgery, open_surgery

SHARED_MEMORY = Path("/dev/shm")


def obeying_modes() -> list[str]:
    """A command under which a folder's mode holds for root too."""
    if os.geteuid() != 0:
        return []
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]
    if shutil.which("setpriv") is None or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("root's rights cannot be put away here")
    return command


@pytest.fixture(scope="module")
def surgery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surgery]:
    found = open_surgery(tmp_path_factory.mktemp("surgery"))
    yield found
    found.remote.close()
    found.empty.close()


def test_a_mirror_beside_the_workspace_shares_its_objects(surgery: Surgery, tmp_path: Path) -> None:
    mirror = tmp_path / "not" / "yet"
    code, found = surgery.examine(MLBUTLER_DATA_MIRROR=str(mirror))
    assert code == 0
    assert found["mirror"]["facts"]["path"] == str(mirror)
    kind = found["mirror"]["facts"]["file_system"]
    assert found["mirror"]["text"].startswith(f"{mirror} is writable, on {kind} at /")
    assert found["links"]["state"] == "ok"
    assert found["links"]["text"].split()[-1] in ("hardlink", "reflink")
    assert not [path for place in (mirror, surgery.root / ".dvc") for path in place.rglob(".doctor-*")]


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no /dev/shm")
def test_a_mirror_on_another_file_system_is_copied_from(surgery: Surgery) -> None:
    mirror = SHARED_MEMORY / f"mlbutler-doctor-{os.getpid()}"
    try:
        code, found = surgery.examine(MLBUTLER_DATA_MIRROR=str(mirror))
    finally:
        shutil.rmtree(mirror, ignore_errors=True)
    assert code == 0
    assert (found["mirror"]["state"], found["mirror"]["facts"]["file_system"]) == ("note", "tmpfs")
    assert "goes away" in found["mirror"]["text"]
    assert found["links"]["state"] == "note"
    assert "objects are copied: the mirror is on tmpfs at /dev/shm, the cache on " in found["links"]["text"]
    assert found["links"]["facts"] == {"reflink": False, "hardlink": False}
    assert "; " in found["disk"]["text"]  # two disks, each with its room


def test_two_mounts_of_one_file_system_do_not_share_either(surgery: Surgery, tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "a mirror"
    there.mkdir()
    here.mkdir()
    _, found = surgery.examine(mounts=f"mount --bind '{there}' '{here}'", MLBUTLER_DATA_MIRROR=str(here))
    assert found["mirror"]["facts"]["mount"] == str(here)
    if found["links"]["facts"]["reflink"]:
        pytest.skip("reflinks cross mounts")
    assert f"two mounts of one file system ({here} and " in found["links"]["text"]
    assert "one mount" in found["links"]["remedy"]


def test_a_mirror_in_a_containers_own_layer_is_told_of(surgery: Surgery, tmp_path: Path) -> None:
    """The volume was forgotten: what is written there is gone when the container is."""
    for name in ("lower", "upper", "work", "mirror", "disk"):
        (tmp_path / name).mkdir()
    layers = "lowerdir=disk/lower,upperdir=disk/upper,workdir=disk/work"
    script = f"cd '{tmp_path}'; mount -t tmpfs none disk; mkdir disk/lower disk/upper disk/work; " \
        f"mount -t overlay -o {layers} none mirror; cd '{surgery.root}'"  # fmt: skip
    code, found = surgery.examine(mounts=script, MLBUTLER_DATA_MIRROR=str(tmp_path / "mirror"))
    assert (code, found["mirror"]["state"]) == (0, "note")
    assert found["mirror"]["text"].endswith(f"on overlay at {tmp_path}/mirror: it goes away with the container")
    assert "Mount a volume" in found["mirror"]["remedy"]


@pytest.mark.parametrize(("options", "said"), [
    ("size=100m", "only "),
    ("size=3g,nr_inodes=500", "few more files fit where the mirror is"),
])  # fmt: skip
def test_a_disk_that_is_nearly_full(surgery: Surgery, tmp_path: Path, options: str, said: str) -> None:
    mounts = f"mount -t tmpfs -o {options} none '{tmp_path}'"
    code, found = surgery.examine(mounts=mounts, MLBUTLER_DATA_MIRROR=str(tmp_path))
    assert (code, found["disk"]["state"]) == (0, "note")
    assert said in found["disk"]["text"]
    assert found["disk"]["remedy"]


def test_a_full_mirror_lets_no_object_be_written(surgery: Surgery, tmp_path: Path) -> None:
    """An empty file can be made there all the same."""
    mount = f"mount -t tmpfs -o size=64k none '{tmp_path}'; dd if=/dev/zero of='{tmp_path}/x' bs=4k 2>&- || true"
    code, found = surgery.examine(mounts=mount, MLBUTLER_DATA_MIRROR=str(tmp_path))
    assert (code, found["mirror"]["state"]) == (1, "missing")
    assert found["mirror"]["text"] == f"{tmp_path} cannot be written: No space left on device"
    assert "mlbutler store prune" in found["mirror"]["remedy"]
    assert "only 0 B free for mirror" in found["disk"]["text"]
    assert "only 0 B" not in found["disk"]["text"].split(";")[0]  # the work tree's disk is not little
    assert "mlbutler store prune" in found["disk"]["remedy"]


def test_a_mirror_that_is_mounted_read_only(surgery: Surgery, tmp_path: Path) -> None:
    mounts = f"mount -t tmpfs -o ro none '{tmp_path}'"
    code, found = surgery.examine(mounts=mounts, MLBUTLER_DATA_MIRROR=str(tmp_path))
    assert (code, found["mirror"]["state"]) == (1, "missing")
    assert found["mirror"]["text"] == f"{tmp_path} cannot be written: Read-only file system"
    assert "Mount it for writing" in found["mirror"]["remedy"]


@pytest.mark.parametrize("below", ["", "/mirror"])
def test_a_file_in_the_mirrors_place(surgery: Surgery, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    code, found = surgery.examine(MLBUTLER_DATA_MIRROR=f"{tmp_path}/file{below}")
    assert (code, found["mirror"]["state"]) == (1, "missing")
    assert "a file is in its place" in found["mirror"]["remedy"]


def test_a_mirror_inside_the_workspace_goes_with_the_build(surgery: Surgery) -> None:
    jenkins = {
        "JENKINS_URL": "http://jenkins/", "BUILD_URL": "http://jenkins/1/", "BRANCH_NAME": "main",
        "GIT_URL": str(surgery.world.bare),
    }  # fmt: skip
    try:
        code, found = surgery.examine(**jenkins, MLBUTLER_DATA_MIRROR="kept/here")
    finally:
        shutil.rmtree(surgery.root / "kept", ignore_errors=True)
    assert (code, found["mirror"]["state"]) == (0, "note")
    assert "inside the work tree" in found["mirror"]["text"]
    assert "a directory that the agent keeps" in found["mirror"]["remedy"]


def test_a_mirror_that_this_user_may_not_write(surgery: Surgery, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(mirror, 4321, 4321)
    else:
        mirror.chmod(0o555)
    code, found = surgery.examine(via=obeying_modes(), MLBUTLER_DATA_MIRROR=str(mirror))
    assert (code, found["mirror"]["state"]) == (1, "missing")
    assert found["mirror"]["text"] == f"{mirror} cannot be written: Permission denied"
    assert f"user {os.geteuid()}" in found["mirror"]["remedy"]
    assert found["links"]["state"] == "note"
    mirror.chmod(0o755)


def test_a_folder_that_a_build_as_another_user_left(surgery: Surgery, tmp_path: Path) -> None:
    folder = tmp_path / "files" / "md5" / "ab"
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(folder, 4321, 4321)
    folder.chmod(0o555)
    code, found = surgery.examine(via=obeying_modes(), MLBUTLER_DATA_MIRROR=str(tmp_path))
    folder.chmod(0o755)
    assert (code, found["mirror"]["state"]) == (1, "missing")
    owner = "user 4321" if os.geteuid() == 0 else folder.owner()
    assert found["mirror"]["text"] == f"{folder} belongs to {owner} and cannot be written"


def test_a_team_that_wants_copies_is_not_told_of_links(surgery: Surgery) -> None:
    _, found = surgery.examine(MLBUTLER_DATA_LINK="copy")
    if found["links"]["facts"]["reflink"]:
        pytest.skip("reflinks are copies to everyone but the disk")
    assert (found["links"]["state"], found["links"]["text"]) == ("note", "objects are copied: data.link is 'copy'")
    assert found["links"]["facts"]["hardlink"] is True


def test_an_agent_without_a_mirror(surgery: Surgery) -> None:
    code, found = surgery.examine(MLBUTLER_DATA_MIRROR="")
    assert code == 0
    assert (found["mirror"]["state"], found["links"]["state"]) == ("note", "note")
    assert "Set data.mirror" in found["mirror"]["remedy"]


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no /dev/shm")
@pytest.mark.parametrize(("size", "state"), [("64m", "note"), ("65m", "ok")])
def test_shared_memory_of_a_container_that_was_not_asked_for_more_is_noted(
    surgery: Surgery, size: str, state: str
) -> None:
    code, found = surgery.examine(mounts=f"mount -t tmpfs -o size={size} none {SHARED_MEMORY}")
    assert (code, found["shm"]["state"]) == (0, state)
    assert found["shm"]["facts"] == {"size": int(size[:-1]) * 1024**2}
    assert ("--shm-size" in found["shm"]["remedy"]) is (state == "note")


@pytest.mark.skipif(shutil.which("mkfs.xfs") is None, reason="mkfs.xfs is not installed (apt-get install xfsprogs)")
def test_two_mounts_of_a_file_system_that_clones_files_share_objects(surgery: Surgery, tmp_path: Path) -> None:
    """So it is in a container, whose workspace and mirror are two mounts."""
    cache = surgery.root / ".dvc" / "cache"
    for folder in (cache, tmp_path / "disk", tmp_path / "mirror"):
        folder.mkdir(parents=True, exist_ok=True)
    script = f"""cd '{tmp_path}'; truncate -s 400M image; mkfs.xfs -q image; mount -o loop image disk
        mkdir disk/mirror disk/cache; mount --bind disk/mirror mirror; mount --bind disk/cache '{cache}'
        cd '{surgery.root}'"""
    if subprocess.run(["unshare", "-m", "sh", "-ec", script], check=False).returncode:
        pytest.skip("no loop device can be mounted here")
    (tmp_path / "image").unlink()
    code, found = surgery.examine(mounts=script, MLBUTLER_DATA_MIRROR=str(tmp_path / "mirror"))
    assert (code, found["links"]["state"]) == (0, "ok")
    assert found["links"]["facts"] == {"reflink": True, "hardlink": False}
