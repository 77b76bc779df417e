"""The wheel of the running mlbutler is one that pip installs, and only as the Dockerfile names it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mlbutler import pages
from mlbutler.errors import UsageError
from mlbutler.scaffold import wheel as wheel_module
from mlbutler.scaffold.changes import Action
from mlbutler.scaffold.wheel import FOLDER, Wheel, decide_wheels, running_wheel
from mlbutler.version import __version__


@pytest.fixture(scope="module")
def packed() -> Wheel:
    """What this checkout, an editable install, is packed into."""
    found = running_wheel()
    assert found is not None
    return found


UV, PIP = ("uv", "pip", "install", "--offline"), ("pip", "install", "--no-index")


def install(address: str, target: Path, with_: tuple[str, ...] = UV) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *with_, "-q", "--no-deps", "--target", target, address],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_is_installed_whole_and_starts(packed: Wheel, tmp_path: Path) -> None:
    (tmp_path / packed.name).write_bytes(packed.content)
    done = install(f"mlbutler @ file://{tmp_path}/{packed.name}#sha256={packed.sha256}", tmp_path / "there")
    assert done.returncode == 0, done.stderr
    here = Path(wheel_module.__file__).parents[1]
    ours, theirs = (
        {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"}
        for root in (here, tmp_path / "there" / "mlbutler")
    )
    assert ours | {f"pages/{page.name}" for page in pages.pages_by_topic().values()} == theirs
    info = importlib.metadata.PathDistribution(tmp_path / "there" / f"mlbutler-{__version__}.dist-info")
    assert info.requires == importlib.metadata.requires("mlbutler")
    assert any(path.name == "LICENSE" for path in info.files or ())
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'there')!r}); import mlbutler.cli; print(mlbutler.__file__)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "there" / "mlbutler" / "__init__.py")


@pytest.mark.parametrize("installer", [UV, PIP], ids=["uv", "pip"])
def test_another_file_in_its_place_is_not_installed(packed: Wheel, tmp_path: Path, installer: tuple[str, ...]) -> None:
    if importlib.util.find_spec(installer[0]) is None:
        pytest.skip(f"{installer[0]} is not in this environment")
    (tmp_path / packed.name).write_bytes(packed.content)
    with zipfile.ZipFile(tmp_path / packed.name, "a") as archive:
        archive.comment = b"another"
    done = install(f"mlbutler @ file://{tmp_path}/{packed.name}#sha256={packed.sha256}", tmp_path / "there", installer)
    assert done.returncode != 0
    assert hashlib.sha256((tmp_path / packed.name).read_bytes()).hexdigest() in done.stderr


def test_the_same_source_is_the_same_wheel(packed: Wheel) -> None:
    assert running_wheel() == packed


def test_a_version_of_an_index_is_not_packed_and_one_that_is_not_installed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "METADATA").write_text("Name: mlbutler\n")
    monkeypatch.setattr(wheel_module, "distribution", lambda name: importlib.metadata.PathDistribution(tmp_path))
    assert running_wheel() is None

    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(wheel_module, "distribution", missing)
    with pytest.raises(UsageError, match="not installed here") as caught:
        running_wheel()
    assert "--requirement" in caught.value.remedy


def test_the_wheel_that_a_dockerfile_names_is_there_and_earlier_ones_go(tmp_path: Path) -> None:
    new = Wheel("mlbutler-2-py3-none-any.whl", b"new")
    (tmp_path / FOLDER).mkdir()
    for name in ("mlbutler-1-py3-none-any.whl", "mlbutler-0-py3-none-any.whl"):
        (tmp_path / FOLDER / name).write_bytes(b"old")
    text = f"COPY mlbutler-0-py3-none-any.whl\n{new.address}\n"
    found = {change.path: change.action for change in decide_wheels(tmp_path, new, text)}
    assert found == {new.path: Action.CREATE, f"{FOLDER}/mlbutler-1-py3-none-any.whl": Action.REMOVE}
    (tmp_path / new.path).write_bytes(b"new")
    assert decide_wheels(tmp_path, new, text)[0].action is Action.UNCHANGED
    # A Dockerfile whose merge is left to the user names another hash: its wheel stays.
    assert [change.path for change in decide_wheels(tmp_path, new, new.name)] == [
        f"{FOLDER}/{name}-py3-none-any.whl" for name in ("mlbutler-0", "mlbutler-1")
    ]
