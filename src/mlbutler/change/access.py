"""How Git's remote is reached in this build: on a CI server, at an address that no pull request can change."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.ci.interface import Facts
from mlbutler.git import Git
from mlbutler.git import address as git_address
from mlbutler.git.address import Address, RemoteAccess
from mlbutler.settings import LoadedSettings

ORIGIN = "origin"


def access(
    git: Git, facts: Facts, environ: Mapping[str, str], loaded: LoadedSettings, *, fresh: bool
) -> RemoteAccess | None:
    """Return how the remote is reached on a CI server; None on a laptop, where the clone's configuration is the user's.

    The address comes from the environment, else from the clone's configuration, provided that nothing of the project
    has run in this build: the CI server fetched the build's commit from there.

    Args:
        fresh: nothing of the project has run yet.

    Raises:
        UsageError: the value is no address, or one that runs a program.
    """
    if facts.kind == "local":
        return None
    address = git_address.from_environment(environ)
    if address is None and fresh:
        address = _read_clone_address(git, loaded)
    return RemoteAccess(address, fresh)


def _read_clone_address(git: Git, loaded: LoadedSettings) -> Address | None:
    """Return ``remote.<name>.url`` of the clone's own configuration file, without included files."""
    remote = loaded.settings.project.git_remote or ORIGIN
    if remote != ORIGIN and not loaded.sources.get("project.git_remote", "").startswith("MLBUTLER_"):
        return None  # the pull request names it
    config = git.path("config")
    done = git.run("config", "--file", str(config), "--no-includes", "--get-all", f"remote.{remote}.url", check=False)
    return git_address.in_clone(config, done.text.splitlines())
