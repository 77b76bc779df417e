"""What dependencies, parameter files and outputs are now, wherever that can be known from.

The work tree says it where the file is; else the record of what makes it: a stage's output in dvc.lock, a .dvc
file, or an entry of a directory manifest. What lies on other storage is asked for. Everything else is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlbutler.project.model import Dependency, NotKnown, Output, ParamsFile, Recorded, Stages
from mlbutler.project.overlooked import find_overlooked_file
from mlbutler.project.worktree import NotListed, WorkTree

if TYPE_CHECKING:
    from mlbutler.project.objects import Objects
    from mlbutler.project.outside import Outside

Now = Recorded | NotKnown | None
"""The content's hash; why it is not known; None when there certainly is no such thing."""


class CurrentHashes:
    """The present state of what stages read and write, in one work tree.

    Args:
        objects: manifests and parameter files that are artifacts. outside: what lies on other storage.

    Attributes:
        restored: stage -> its outputs' hashes, where the run cache has them and the stage is not to run.
    """

    def __init__(self, stages: Stages, tree: WorkTree, objects: Objects, outside: Outside) -> None:
        self._stages, self._tree, self._objects, self._outside = stages, tree, objects, outside
        self.restored: dict[str, Mapping[str, Recorded]] = {}

    def exists(self, path: str) -> bool:
        """Tell whether it is in the work tree, or at that place on this machine."""
        return self._tree.exists(path)

    def overlooked_file(self, path: str) -> str:
        """Return the .dvc file here that tracks `path` and that DVC does not read; '' for none."""
        return find_overlooked_file(self._tree.root, self._stages, path)

    def dependency(self, dependency: Dependency) -> Now:
        """Return what a dependency's content is.

        Raises:
            OSError: a file of the project cannot be read.
        """
        path = dependency.path
        if dependency.is_url:
            return self._outside.ask(path)
        algorithm = dependency.recorded.algorithm if dependency.recorded else "md5"
        owner = self._stages.owner(path)
        if owner is not None and owner[0].name in self.restored:
            return self._inside(owner[1], self.restored[owner[0].name].get(owner[1].path), path)
        holder = owner[1].path if owner is not None else path
        if self._tree.exists(path) and self._tree.exists(holder):
            return self._hash(path, algorithm, external=dependency.external)
        if owner is not None:
            return self._inside(owner[1], owner[1].recorded, path)
        if dependency.external:
            return NotKnown("it is not on this machine", "Put it there: the stage needs it from outside the project.")
        return None

    def output(self, output: Output) -> Now:
        """Return what an output is in the work tree, or where it is kept outside the project."""
        if output.is_url:
            return self._outside.ask(output.path)
        if not self._tree.exists(output.path):
            return None
        algorithm = output.recorded.algorithm if output.recorded else "md5"
        return self._hash(output.path, algorithm, external=output.external)

    def params(self, params: ParamsFile) -> ParamsFile | NotKnown:
        """Return parameters with the values that are there now; those of an artifact come from a store."""
        owner = self._stages.owner(params.path)
        if owner is None:
            return params
        stage, output = owner
        made = self.restored.get(stage.name)
        if made is None and self._tree.exists(params.path):
            return params
        recorded = self._inside(output, made.get(output.path) if made is not None else output.recorded, params.path)
        if isinstance(recorded, NotKnown):
            return recorded
        if recorded is None or recorded.oid is None:
            return params
        found = self._objects.params(params, recorded.oid)
        return found if found.current is not None or found.problem else self._objects.out_of_reach(recorded.oid)

    def _hash(self, path: str, algorithm: str, *, external: bool) -> Now:
        try:
            return self._tree.hash(path, algorithm)
        except NotListed as error:
            return self._objects.out_of_reach(error.oid)
        except OSError as error:
            if not external:
                raise
            return NotKnown(f"it cannot be read: {error.strerror or error}", "Let this user read it.")

    def _inside(self, output: Output, recorded: Recorded | None, path: str) -> Now:
        """Return the record of `path`, which is `output` or lies in that directory."""
        if recorded is None or output.path == path:
            return recorded
        if recorded.oid is None or not recorded.oid.is_directory:
            return None
        manifest = self._objects.listing(recorded.oid)
        if manifest is None:
            return self._objects.out_of_reach(recorded.oid)
        relpath = path[len(output.path) + 1 :]
        if relpath in manifest:
            return Recorded(recorded.algorithm, manifest[relpath])
        return _subdirectory(manifest, relpath, recorded.algorithm)


def _subdirectory(manifest: Mapping[str, str], relpath: str, algorithm: str) -> Recorded | None:
    """Return the hash DVC gives to the directory `relpath` of a directory artifact; None when it is empty."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    prefix = relpath + "/"
    inside = {name[len(prefix) :]: md5 for name, md5 in manifest.items() if name.startswith(prefix)}
    if not inside:
        return None
    tree = Tree()
    for name, md5 in inside.items():
        tree.add(tuple(name.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    return Recorded(algorithm, tree.hash_info.value)
