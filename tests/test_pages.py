from __future__ import annotations

import re
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

import mlbutler
from mlbutler import pages
from mlbutler.scaffold.wheel import running_wheel

SOURCE = Path(mlbutler.__file__).parent
NAMED = re.compile(r"mlbutler help ([a-z-]+)")


def test_every_page_that_a_message_names_is_there() -> None:
    named = {
        topic
        for path in SOURCE.rglob("*.py")
        if path.parent.name != "verbs"
        for topic in NAMED.findall(path.read_text(encoding="utf-8"))
    }
    assert len(named) > 5
    assert named <= set(pages.pages_by_topic())


def test_no_message_names_a_file_that_users_do_not_have() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if path.name != "__init__.py"}
    assert [path for path, text in texts.items() if re.search(r"docs/[a-z-]+\.md", text)] == []


def test_the_wheel_for_an_image_has_the_pages() -> None:
    wheel = running_wheel()
    if wheel is None:
        pytest.skip("mlbutler was installed from a package index")
    names = zipfile.ZipFile(BytesIO(wheel.content)).namelist()
    assert {f"mlbutler/pages/{page.name}" for page in pages.pages_by_topic().values()} <= set(names)
