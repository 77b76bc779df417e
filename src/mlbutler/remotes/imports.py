"""Imports (`dvc import`, `dvc import-url`): DVC alone knows how to bring them from their source."""

from __future__ import annotations

from collections.abc import Sequence

from mlbutler.errors import StoreError
from mlbutler.remotes.opening import Configured, open_cache
from mlbutler.store.engine import bring
from mlbutler.store.interface import Need


def bring_imports(project: Configured, needs: Sequence[Need]) -> frozenset[str]:
    """Let DVC bring imports from where they were imported; return the paths that it brought whole.

    Raises:
        StoreError: the source could not be read.
    """
    if not needs:
        return frozenset()
    fetch_imports(project, [need.path for need in needs])
    again = bring(needs, open_cache(project), None, None)
    return frozenset(need.path for need in needs) - again.incomplete


def fetch_imports(project: Configured, paths: Sequence[str]) -> None:
    """Bring imported artifacts into the cache from where they were imported.

    Args:
        paths: the artifacts, relative to the project's root.

    Raises:
        StoreError: the source could not be read.
    """
    from dvc.exceptions import DvcException
    from dvc.scm import CloneError, SCMError

    targets = [project.repo.fs.join(project.repo.root_dir, *path.split("/")) for path in paths]
    try:
        project.repo.fetch(targets=targets, run_cache=False)
    except (DvcException, CloneError, SCMError, OSError) as error:
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(
            f"An import could not be brought from its source: {text}",
            "Check that the repository or address in the .dvc file can be read from here.",
        ) from error
