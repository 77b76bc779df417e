"""Import DVC without what its packages import and hardly ever use: a tenth of each verb that opens a project.

tqdm and flatten_dict look for their own versions in the metadata of packages, and fsspec looks for other storages in
those of all packages, while the classes of DVC's remotes name their storage themselves. asyncio, which brings ssl,
psutil, multiprocessing and the validators of attrs are for a few calls. While those packages are imported, a
stand-in takes the place of each of these modules. It imports the real one as soon as anything else of it is used, so
that a release that needs more still works.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _NoEntryPoints(tuple[()]):
    """What `importlib.metadata.entry_points` returns where there are none."""

    def select(self, **options: object) -> _NoEntryPoints:
        return self


def _version(package: str) -> str | None:
    from mlbutler.extras import version_by_name

    return version_by_name(package)


def _unknown(*arguments: object) -> None:
    """Return None, whatever is asked."""


class _LazyModule:
    """A module that is asked for while a package is imported.

    Attributes:
        functions: those that are taken from it then, each with what answers it until the package is imported (None: the
            true one has to). given: what else is known.
    """

    def __init__(
        self,
        name: str,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.functions, self.given = name, functions or {}, given or {}


_PROBLEM = {"PackageNotFoundError": ModuleNotFoundError}  # the base of the true one
_OWN_VERSION = _LazyModule("importlib.metadata", {"version": _version}, _PROBLEM)
_STORAGES = _LazyModule(
    "importlib.metadata", {"version": _version, "entry_points": lambda **_: _NoEntryPoints()}, _PROBLEM
)
_ASYNCIO = _LazyModule("asyncio", {"get_running_loop": _unknown}, {"TimeoutError": TimeoutError})
_EVENTS = _LazyModule("asyncio.events")
_CORES = _LazyModule("multiprocessing", {"cpu_count": os.cpu_count})
_PROCESSES = _LazyModule("psutil", {"pid_exists": _unknown})
_PACKAGES = {
    "tqdm": (_OWN_VERSION,),
    "flatten_dict": (_OWN_VERSION,),
    "attr": (_LazyModule("attr.validators"),),
    "attrs": (_LazyModule("attrs.validators"),),
    "dvc_objects.fs": (_ASYNCIO, _EVENTS, _CORES),
    "dvc.repo.plots": (_CORES,),
    "fsspec": (_ASYNCIO, _EVENTS, _STORAGES),
    "flufl.lock": (_PROCESSES,),
}


def install() -> None:
    """Import those packages this way from now on, in a process that runs nothing but mlbutler."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _StandIn(ModuleType):
    """A module that imports the true one of its name when something of that is used."""

    def __init__(self, asked: _LazyModule) -> None:
        super().__init__(asked.name)
        functions = {name: self._function(name, answer) for name, answer in asked.functions.items()}
        self.__dict__.update({"__path__": [], **asked.given, **functions})  # submodules are asked of `_Finder`

    def __getattr__(self, name: str) -> Any:
        return getattr(self.true(), name)

    def _function(self, name: str, answer: Callable[..., Any]) -> Callable[..., Any]:
        def function(*arguments: Any, **options: Any) -> Any:
            found = answer(*arguments, **options) if sys.modules.get(self.__name__) is self else None
            return found if found is not None else getattr(self.true(), name)(*arguments, **options)

        return function

    def true(self) -> ModuleType:
        """Return the module that this stands in for."""
        known = sys.modules.get(self.__name__)
        if known is None or isinstance(known, _StandIn):
            package = _package(self.__name__)
            stand_ins = [module for module in list(sys.modules.values()) if isinstance(module, _StandIn)]
            for module in stand_ins:
                if _package(module.__name__) == package:  # the true ones import one another
                    module.stand_back()
            known = importlib.import_module(self.__name__)
        return known

    def stand_back(self) -> None:
        """Have those who import the module from now on get the true one."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


def _package(module: str) -> str:
    return module.partition(".")[0]


class _Finder:
    """Finds the packages of the table where Python does, and what lies below a module that another stands in for."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in _PACKAGES:
            spec = PathFinder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader, _PACKAGES[name])  # type: ignore[assignment]
            return spec
        above = sys.modules.get(name.rpartition(".")[0])
        if not isinstance(above, _StandIn):
            return None
        above.true()
        return ModuleSpec(name, _ImportedLoader(importlib.import_module(name)))  # type: ignore[arg-type]


class _ImportedLoader:
    """Loads a module that has been imported meanwhile."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: it is there."""


class _Loader:
    """Loads a package while other modules stand in for those that it asks for."""

    def __init__(self, loader: Any, asked: Sequence[_LazyModule]) -> None:
        self._loader, self._asked = loader, asked

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__dict__["__loader__"] = self._loader
        with ExitStack() as stack:
            for asked in self._asked:
                stack.enter_context(_standing_in(asked))
            self._loader.exec_module(module)


@contextmanager
def _standing_in(asked: _LazyModule) -> Iterator[None]:
    if asked.name in sys.modules:
        yield
        return
    module = sys.modules[asked.name] = _StandIn(asked)
    above, _, name = asked.name.rpartition(".")
    if above in sys.modules:  # as ``import a.b`` leaves it; the true one takes its place
        vars(sys.modules[above]).setdefault(name, module)
    try:
        yield
    finally:
        module.stand_back()
