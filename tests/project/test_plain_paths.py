"""DVC finds the same file system for a path as without our shortcut."""

from __future__ import annotations

from typing import Any

import pytest
from dvc import output

from mlbutler.project.plain_paths import plain_paths

PATHS = ("data", "a b/c", "../beside", "/mnt/data/x", "~/x", "a#b?c=%20", "http://127.0.0.1/x", "remote://r/y", "")
CONFIGS: tuple[dict[str, Any], ...] = (
    {},
    {"core": {"checksum_jobs": 3}, "remote": {"r": {"url": "/srv/r"}}},
)


def open_file_system(config: dict[str, Any], path: str, **more: Any) -> Any:
    try:
        return output.get_cloud_fs(config, url=path, **more)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("path", PATHS)
def test_the_answer_is_dvc_s_own(path: str) -> None:
    theirs = [open_file_system(config, path) for config in CONFIGS]
    before = output.get_cloud_fs
    with plain_paths():
        for _ in range(2):
            assert [open_file_system(config, path) for config in CONFIGS] == theirs
        assert open_file_system(CONFIGS[1], "data", version_aware=True)[1]["version_aware"]
        assert "version_aware" not in open_file_system(CONFIGS[1], "data")[1]
    assert output.get_cloud_fs is before


def test_what_a_caller_does_with_the_settings_is_its_own() -> None:
    with plain_paths():
        open_file_system(CONFIGS[1], "data")[1]["checksum_jobs"] = 7
        assert open_file_system(CONFIGS[1], "data")[1]["checksum_jobs"] == 3
