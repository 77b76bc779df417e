"""Which forges there are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from mlbutler.forge.interface import Forge
from mlbutler.settings import Forge as Settings

FORGES = {
    "folder": "mlbutler.forge.folder",
}


def open_forge(settings: Settings, root: Path) -> Forge | None:
    """The forge that the settings name, None when they name none.

    Args:
        root: the project's root, from which relative paths are taken.

    Raises:
        SettingsError: the forge needs a setting that is missing.
    """
    if settings.kind is None:
        return None
    opened: Callable[[Settings, Path], Forge] = importlib.import_module(FORGES[settings.kind]).from_settings
    return opened(settings, root)
