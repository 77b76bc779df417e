"""Typed settings of a project, and where each value came from.

They are read from ``mlbutler.toml`` at the project's root, or ``[tool.mlbutler]`` in pyproject.toml, and
overridden by environment variables ``MLBUTLER_<SECTION>_<KEY>``. A project without any file works.
"""

from mlbutler.settings.reading import FILE_NAME, Loaded, load, parse, settings_at
from mlbutler.settings.sections import Data, Forge, Gate, Predictions, Project, Report, Reproduce, Settings

__all__ = [
    "FILE_NAME",
    "Data",
    "Forge",
    "Gate",
    "Loaded",
    "Predictions",
    "Project",
    "Report",
    "Reproduce",
    "Settings",
    "load",
    "parse",
    "settings_at",
]
