"""All supported forges, and how one is opened."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from mlbutler.forge.hosted import Hosted
from mlbutler.forge.interface import Forge, ForgeAdapter
from mlbutler.forge.opening import Opening

FORGES = {
    "github": "mlbutler.forge.github",
    "gitlab": "mlbutler.forge.gitlab",
    "gitea": "mlbutler.forge.gitea",
    "dagshub": "mlbutler.forge.gogs",
    "gogs": "mlbutler.forge.gogs",
    "bitbucket": "mlbutler.forge.bitbucket",
    "folder": "mlbutler.forge.folder",
}
"""Kind -> module, whose ``from_opening`` makes a `Forge`, or the `ForgeAdapter` of one on the network."""


def open_forge(opening: Opening) -> Forge:
    """Return the forge at a location.

    Raises:
        SettingsError: the forge needs a setting that is missing. ForgeError: there is no token for it.
    """
    opened: Callable[[Opening], Forge | ForgeAdapter] = importlib.import_module(FORGES[opening.place.kind]).from_opening
    forge = opened(opening)
    if isinstance(forge, Forge):
        return forge
    return Hosted(forge, opening.policy.pause if opening.policy else 1.0, opening.behavior)
