"""Typed settings of a project, and where each value came from.

They are read from ``mlbutler.toml`` at the project's root, or ``[tool.mlbutler]`` in pyproject.toml, and
overridden by environment variables ``MLBUTLER_<SECTION>_<KEY>``. A project without any file works.
"""

from mlbutler.settings.comment import CommentSettings
from mlbutler.settings.gates import Gate
from mlbutler.settings.reading import FILE_NAME, SETTINGS_FILES, LoadedSettings, load, parse_settings, settings_at
from mlbutler.settings.sections import (
    DataSettings,
    ForgeSettings,
    IsolationSettings,
    Predictions,
    ProjectSettings,
    ReportSettings,
    ReproduceSettings,
    Settings,
    VerifySettings,
)
from mlbutler.settings.trackers import TrackersSettings

__all__ = [
    "FILE_NAME",
    "SETTINGS_FILES",
    "CommentSettings",
    "DataSettings",
    "ForgeSettings",
    "Gate",
    "IsolationSettings",
    "LoadedSettings",
    "Predictions",
    "ProjectSettings",
    "ReportSettings",
    "ReproduceSettings",
    "Settings",
    "TrackersSettings",
    "VerifySettings",
    "load",
    "parse_settings",
    "settings_at",
]
