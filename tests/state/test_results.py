"""What a plan rests on outside the project."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mlbutler.state.fingerprint import Fingerprints
from mlbutler.state.hashes import HashCache
from mlbutler.state.read_recorder import ReadRecorder
from mlbutler.state.results import InputFingerprints, PlanCache


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def plans(root: Path) -> PlanCache:
    """As the next process has it."""
    return PlanCache(InputFingerprints(root, Fingerprints(), HashCache(root)), ["1"])


@pytest.mark.parametrize("ahead", [0.0, 3600.0])
def test_a_plan_is_not_kept_where_a_change_of_dvcs_settings_might_not_show(root: Path, ahead: float) -> None:
    """Written a moment ago, or with a time that is still to come."""
    settings = root.parent / "config"
    settings.write_text("[core]\n")
    os.utime(settings, (time.time() + ahead,) * 2)
    plans(root).put({}, [], [], ReadRecorder(root), outputs={}, settings=[settings], since=settings.stat().st_ctime)
    assert not plans(root).is_valid({}, [])


def test_it_is_kept_with_settings_that_rest_until_they_change(root: Path) -> None:
    settings = root.parent / "config"
    settings.write_text("[core]\n")
    time.sleep(0.1)
    plans(root).put({}, [], [], ReadRecorder(root), outputs={}, settings=[settings, root.parent / "none"])
    assert plans(root).is_valid({}, [])
    settings.write_text("[kore]\n")
    time.sleep(0.1)
    assert not plans(root).is_valid({}, [])


def test_settings_that_appear_end_it(root: Path) -> None:
    plans(root).put({}, [], [], ReadRecorder(root), outputs={}, settings=[root.parent / "none"])
    assert plans(root).is_valid({}, [])
    (root.parent / "none").write_text("[core]\n")
    assert not plans(root).is_valid({}, [])
