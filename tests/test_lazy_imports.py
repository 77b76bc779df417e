"""What DVC's packages ask for while they are imported is imported when it is used, and is the true one then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

from tests.integration.world import make

_SPARED = ["asyncio", "attr.validators", "email.message", "importlib.metadata", "multiprocessing", "psutil", "ssl"]
_IMPORTED = "import dvc.repo, dvc.lock, dvc.repo.plots, dvc.scm\n"


def _run_program(program: str, *folders: Path, lazily: bool = True) -> Any:
    """Return what a process of its own finds, as a program's variable `found` has it."""
    before = "import json, sys\n" + ("from mlbutler import lazy_imports\nlazy_imports.install()\n" if lazily else "")
    after = "\nprint(json.dumps(found))"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    done = subprocess.run(
        [sys.executable, "-c", before + program + after], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _is_imported(lazily: bool) -> Any:
    return _run_program(f"{_IMPORTED}found = [name for name in {_SPARED} if name in sys.modules]", lazily=lazily)


def test_importing_dvc_spares_what_it_does_not_use() -> None:
    assert _is_imported(lazily=False) == _SPARED
    assert _is_imported(lazily=True) == []


def test_a_verb_that_opens_the_project_spares_it_too(tmp_path: Path) -> None:
    program = f"""
import atexit, os
os.chdir({str(make(tmp_path).project)!r})
atexit.register(lambda: print(json.dumps(["dvc.repo" in sys.modules, [m for m in {_SPARED} if m in sys.modules]])))
sys.argv = ["mlbutler", "plan", "--quiet"]
from mlbutler.__main__ import program
program()
"""
    assert _run_program(program, lazily=False) == [True, []]


def test_versions_are_those_of_the_metadata() -> None:
    program = f"""{_IMPORTED}
import flatten_dict, fsspec.utils, tqdm
found = [tqdm.__version__, flatten_dict.__version__, fsspec.utils.get_package_version_without_import("ruamel.yaml")]"""
    assert _run_program(program) == [version("tqdm"), version("flatten-dict"), version("ruamel.yaml")]


def test_where_a_package_has_no_folder_that_says_its_version_its_own_answer_holds(tmp_path: Path) -> None:
    (tmp_path / "tqdm").mkdir()
    (tmp_path / "tqdm" / "__init__.py").write_text("from .version import __version__")
    (tmp_path / "tqdm" / "version.py").write_text(
        "from importlib.metadata import PackageNotFoundError, version\n"
        "try:\n    __version__ = version('no-such-package')\nexcept PackageNotFoundError:\n    __version__ = 'UNKNOWN'"
    )
    assert _run_program("import tqdm\nfound = tqdm.__version__", tmp_path) == "UNKNOWN"


def test_the_metadata_of_packages_are_whole_afterwards() -> None:
    program = f"""{_IMPORTED}
from importlib import metadata as one
import importlib.metadata as other
from importlib.metadata import PackageNotFoundError, entry_points
import fsspec
from fsspec.registry import known_implementations as known
fsspec.process_entries()
found = [sorted({{point.value for m in (one, other) for point in m.entry_points(group="fsspec.specs")}}),
         issubclass(PackageNotFoundError, ImportError), len(entry_points(group="fsspec.specs")),
         known["dvc"]["class"]]"""
    points = entry_points(group="fsspec.specs")
    expected = next(point.value.replace(":", ".") for point in points if point.name == "dvc")
    assert _run_program(program) == [sorted({point.value for point in points}), True, len(points), expected]


def test_fsspec_runs_what_is_asynchronous() -> None:
    program = f"""{_IMPORTED}
import fsspec.asyn, fsspec.exceptions
from dvc_objects.executors import batch_coros
before = "asyncio" in sys.modules
async def one(number):
    return number + 1
async def slow():
    import asyncio
    await asyncio.sleep(600)
loop = fsspec.asyn.get_loop()
found = [before, fsspec.asyn.running_async(), fsspec.asyn.sync(loop, one, 4)]
try:
    fsspec.asyn.sync(loop, slow, timeout=0.01)
except fsspec.exceptions.FSTimeoutError as error:
    found.append(isinstance(error, TimeoutError))
async def there():
    return fsspec.asyn.get_running_loop() is loop and fsspec.asyn.running_async()
found.append(fsspec.asyn.sync(loop, there))
found.append(fsspec.asyn.sync(loop, batch_coros, [one(1), one(2)], 2))
import asyncio
found.append(fsspec.asyn.asyncio.Task is asyncio.Task and fsspec.asyn.asyncio.events.Handle is asyncio.Handle)"""
    assert _run_program(program) == [False, False, 5, True, True, [2, 3], True]


def test_attrs_validates() -> None:
    program = f"""{_IMPORTED}
import attr, attrs
import attr.validators as one
from attrs import validators as other
found = [one.in_ is attr.validators.in_, other.in_ is attrs.validators.in_]
for package in (attr, attrs):
    @attrs.define
    class Numbered:
        number: int = attrs.field(validator=package.validators.instance_of(int))
    try:
        Numbered("1")
    except TypeError:
        found.append(Numbered(1).number)"""
    assert _run_program(program) == [True, True, 1, 1]


def test_as_many_jobs_as_there_are_cores() -> None:
    program = """
from dvc.fs import LocalFileSystem as local
from dvc.repo.plots import cpu_count
found = [local._JOBS, local.HASH_JOBS, cpu_count()]"""
    assert _run_program(program) == _run_program(program, lazily=False)


def test_many_threads_may_be_the_first_to_use_it() -> None:
    program = f"""{_IMPORTED}
import fsspec.asyn
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
barrier = Barrier(16)
async def one(number):
    return number
def ask(number):
    barrier.wait()
    return fsspec.asyn.sync(fsspec.asyn.get_loop(), one, number)
with ThreadPoolExecutor(16) as pool:
    found = list(pool.map(ask, range(16)))"""
    assert _run_program(program) == list(range(16))


def test_a_lock_of_a_process_that_is_gone_is_found_stale(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    program = f"""{_IMPORTED}
import os
import flufl.lock
path = {str(tmp_path / "lock")!r}
lock = flufl.lock.Lock(path)
lock.lock()
found = [str(lock.state), "psutil" in sys.modules]
content = open(path).read()
open(path, "w").write(content.replace(f"|{{os.getpid()}}|", "|{gone.pid}|"))
found.append(str(flufl.lock.Lock(path).state))"""
    assert _run_program(program) == ["LockState.ours", False, "LockState.stale"]


_GREEDY = """
import asyncio
import asyncio.events
import asyncio.tasks
import importlib.metadata
from asyncio import Protocol, queues
from asyncio.locks import Lock
from importlib import metadata
from importlib.metadata import Distribution, entry_points

class Greedy(Protocol, asyncio.events.AbstractEventLoop):
    queue: asyncio.Queue = None

points = [*importlib.metadata.entry_points().select(group="x"), *metadata.entry_points(group="x"), *entry_points()]
"""


def test_a_release_that_uses_all_of_it_at_once_gets_the_true_one(tmp_path: Path) -> None:
    (tmp_path / "fsspec").mkdir()
    (tmp_path / "fsspec" / "__init__.py").write_text(_GREEDY)
    program = """
import fsspec
import asyncio, asyncio.tasks, asyncio.events, importlib.metadata as metadata
loaded = [module for name, module in sys.modules.items() if name.partition(".")[0] == "asyncio"]
found = [fsspec.Greedy.__mro__[1:3] == (asyncio.Protocol, fsspec.Protocol.__mro__[1]),
    issubclass(fsspec.Greedy, asyncio.AbstractEventLoop), fsspec.Lock is asyncio.Lock,
    fsspec.queues.Queue is asyncio.Queue, fsspec.Distribution is metadata.Distribution,
    sys.modules["asyncio.tasks"].Task is asyncio.Task is asyncio.tasks.Task,
    all(type(module).__name__ == "module" for module in loaded)]"""
    assert _run_program(program, tmp_path) == [True] * 7


def test_a_package_that_is_not_there_is_not_found() -> None:
    program = "try:\n    import flufl.lock.none\nexcept ModuleNotFoundError as error:\n    found = error.name"
    assert _run_program(program) == "flufl.lock.none"
    program = (
        "sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        "try:\n    import fsspec\nexcept ModuleNotFoundError as error:\n    found = error.name"
    )
    assert _run_program(program) == "fsspec"


def test_packages_say_where_they_lie() -> None:
    program = """
import importlib.resources, inspect
import flatten_dict as a, fsspec as b, tqdm as c
found = [[package.__spec__.loader is package.__loader__, "import" in inspect.getsource(package),
    importlib.resources.files(package).joinpath("__init__.py").is_file()] for package in (a, b, c)]"""
    assert _run_program(program) == [[True, True, True]] * 3
