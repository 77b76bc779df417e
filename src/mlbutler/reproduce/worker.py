"""Run stages in a process that imports DVC once and forks for each stage.

It is started as ``python -m mlbutler.reproduce.worker COMMANDS EVENTS`` with the numbers of two pipes, in an
environment without credentials, at the project's root. It reads one JSON object a line from the first pipe
and answers on the second, which the stages' commands do not inherit; what they print goes to standard output.

Commands: ``{"do": "graph", "stages": [...]}``, ``{"do": "stage", "name": ..., "strict": ..., "lock_timeout": ...}`` and
what `_stage` says.
Every command is answered by events that end with ``{"event": "end"}``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlbutler import isolation, linux
from mlbutler.errors import ProjectError
from mlbutler.project import dvc_yaml, unseen
from mlbutler.reproduce import steady, whole_files
from mlbutler.reproduce.run_cache_view import RunCacheView
from mlbutler.reproduce.same_run import wait_for_the_same

_EXITED_WITH = re.compile(r"exited with (-?\d+)\s*$")
_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024
_MEMORY_NOISE = 1024 * 1024
_LARGE = 1 << 20
_GC_THRESHOLD = 1_500_000

_IMPORTED_ONCE = (
    "configobj", "dvc.cachemgr", "dvc.data_cloud", "dvc.dependency", "dvc.dirs", "dvc.dvcfile", "dvc.ignore",
    "dvc.lock", "dvc.output", "dvc.repo", "dvc.repo.artifacts", "dvc.repo.datasets", "dvc.repo.graph",
    "dvc.repo.index", "dvc.repo.metrics", "dvc.repo.params", "dvc.repo.plots", "dvc.repo.reproduce", "dvc.repo.stage",
    "dvc.repo.trie", "dvc.rwlock", "dvc.scm", "dvc.stage.cache", "dvc.stage.loader", "dvc.stage.run",
    "dvc.stage.serialize",
    "dvc.utils.strictyaml", "dvc_data.hashfile._progress", "dvc_data.hashfile.db.local", "dvc_data.hashfile.status",
    "dvc_render", "dulwich.ignore", "dulwich.index", "dulwich.trailers", "dulwich.worktree", "flatten_dict",
    "fsspec.implementations.memory", "mlbutler.provenance", "networkx", "platformdirs", "pyparsing", "ruamel.yaml",
)  # fmt: skip

Send = Callable[[dict[str, Any]], None]


def main(commands: int, events: int) -> int:
    """Serve until the command pipe is closed; return the exit code."""
    for fd in (commands, events):
        os.set_inheritable(fd, False)
    linux.hide_from_children()  # a stage could reach the event pipe through /proc
    told = _Interruption()
    signal.signal(signal.SIGINT, told.interrupt)
    for name in ("DVC_ROOT", "DVC_STAGE"):  # we may ourselves be in a stage of another project
        os.environ.pop(name, None)
    send = _sender(events)
    _import_dvc()
    send({"event": "end"})
    for command in _commands(commands):
        job = _graph if command["do"] == "graph" else _stage
        told.busy = True
        _run_in_fork(job, command, commands, send)
        told.busy = False
        if told.interrupted:
            return 130
    return 0


class _Interruption:
    """Passes an interruption to the stage, which may take its time to end; the worker ends after it."""

    def __init__(self) -> None:
        self.busy = self.interrupted = False

    def interrupt(self, number: int, frame: object) -> None:
        self.interrupted = True
        if not self.busy:
            sys.exit(130)


def _sender(events: int) -> Send:
    def send(event: dict[str, Any]) -> None:
        data = json.dumps(event).encode() + b"\n"
        while data:
            data = data[os.write(events, data) :]

    return send


def _commands(fd: int) -> Iterator[dict[str, Any]]:
    with os.fdopen(fd, "rb", buffering=0, closefd=False) as file:
        for line in file:
            yield json.loads(line)


def _import_dvc() -> None:
    """Import what a stage needs, so that no fork has to: that took a third of a fork's time."""
    import gc
    import importlib

    from mlbutler import lazy_imports

    lazy_imports.install()
    gc.set_threshold(_GC_THRESHOLD, 50, 100)  # what is imported stays

    for name in _IMPORTED_ONCE:
        with contextlib.suppress(ImportError):  # where a release keeps it elsewhere, the fork imports it
            importlib.import_module(name)
    whole_files.replace_dvc_files()
    dvc_yaml.guard()  # DVC reads dvc.lock a dozen times for a stage; its own parser took most of a short stage's time


def _run_in_fork(
    job: Callable[[dict[str, Any], Send], None], command: dict[str, Any], commands: int, send: Send
) -> None:
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            job(command, send)
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    status = _wait(pid, commands)
    send({"event": "end", "exit_code": status, "seconds": time.monotonic() - started})


def _wait(pid: int, commands: int) -> int:
    pause = 0.002
    while True:
        done, status, _ = os.wait4(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        # Nothing is sent while a stage runs: a readable pipe means that who started us is gone.
        if select.select([commands], [], [], pause)[0]:
            _end_group()
        pause = min(pause * 1.5, 0.1)


def _end_group() -> None:
    """End orphans of a stage: they would work on, and hold their locks, beside the next run.

    A process that has ended is reaped at once: as long as it is a zombie, DVC considers its locks held.
    """
    linux.adopt_orphans()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    until = time.monotonic() + 5
    with contextlib.suppress(ChildProcessError):  # there is nobody left
        while time.monotonic() < until:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.02)
    os.killpg(0, signal.SIGKILL)


# ------------------------------------------------------------------------------------------- in a fork


def _graph(command: dict[str, Any], send: Send) -> None:
    """Return which of the named stages each of them depends on, and the uncached outputs that DVC would delete."""
    try:
        from dvc.repo import Repo

        with Repo(str(Path.cwd())) as repo:
            graph = repo.index.graph
            by_name = {stage.addressing: stage for stage in graph.nodes}
            unknown = [name for name in command["stages"] if name not in by_name]
            if unknown:
                send({"event": "error", "kind": "project", "message": f"there is no stage {unknown[0]!r} in dvc.yaml"})
                return
            wanted = set(command["stages"])
            for name in command["stages"]:
                stage = by_name[name]
                before = {found.addressing for found in _upstream(graph, stage)} & wanted
                unkept = [os.path.relpath(out.fs_path) for out in stage.outs
                          if not out.use_cache and not out.persist and out.protocol == "local"]  # fmt: skip
                send({"event": "stage", "name": name, "upstream": sorted(before), "unkept": unkept})
    except Exception as error:
        send({"event": "error", "kind": _kind(error), "message": _message(error)})


def _upstream(graph: Any, stage: Any) -> set[Any]:
    found: set[Any] = set()
    left = [stage]
    while left:
        current = left.pop()
        if current.frozen:
            continue
        for before in graph.successors(current):  # DVC's edges lead from a stage to what it needs
            if before not in found:
                found.add(before)
                left.append(before)
    return found


def _stage(command: dict[str, Any], send: Send) -> None:
    """Bring one stage up to date as ``dvc repro --single-item`` does, and say what happened.

    With `strict`, missing files count as changes. Without, the stage was planned only because one before it
    was stale: when that one made the same outputs again, what is missing here need not be made. With `may_lack`,
    missing inputs are reported, and nothing is done. With `runs`, DVC's run cache is what that says
    (`run_cache_view`) and not the clone's. With `force` the command runs whether anything changed or not, and no
    run cache is asked. What `isolation` holds stands before the command, and `visible` is what that lets it see.
    """
    name, give_up = command["name"], time.monotonic() + command["lock_timeout"]
    seen = _Commands(name)
    moved: list[str] = []
    sys.addaudithook(seen.hook)
    steady.watch(lambda stage: seen.started and stage.addressing == name, moved.extend)
    while True:
        try:
            answer = _reproduce_stage(name, command, seen)
        except (Exception, KeyboardInterrupt) as error:
            busy = _kind(error) == "busy" and not seen.started
            if busy and time.monotonic() < give_up:
                time.sleep(0.5)
                continue
            message = _message(error)
            print(f"ERROR: {message}", file=sys.stderr, flush=True)
            code = _EXITED_WITH.search(message)
            answer = {"outcome": "busy" if busy else "failed", "message": message,
                      "exit_code": int(code[1]) if code else None, "inputs": moved}  # fmt: skip
        send({"event": "outcome", "peak": seen.peak(), **answer})
        return


def _reproduce_stage(name: str, command: dict[str, Any], seen: _Commands) -> dict[str, Any]:
    from dvc.repo import Repo

    runs = command["runs"]
    if command["isolation"]:
        _isolate(command["isolation"])
    visible = None if command["visible"] is None else isolation.VisiblePaths(*map(tuple, command["visible"]))
    unseen.guard_values()
    unseen.guard_outputs()
    with unseen.limit_reading(None, lambda: visible), Repo(str(Path.cwd())) as repo:
        entries = RunCacheView(runs) if runs is not None else None
        if entries is not None:
            entries.take_the_place_of(repo.stage_cache)
        else:
            wait_for_the_same(repo.stage_cache)
        if not command["strict"] and not _is_changed(repo, name):
            print(f"Stage '{name}' didn't change, skipping", flush=True)
            return {"outcome": "unchanged"}
        (stage,) = (stage for stage in repo.stage.collect(name) if stage.addressing == name)
        lacking = _lacking(repo, stage)
        if lacking and command["may_lack"]:
            return {"outcome": "lacking", "lacking": lacking}
        if lacking:  # DVC would delete the outputs before it notices
            message = f"needs files that are not here: {', '.join(list(lacking)[:5])}"
            print(f"ERROR: stage '{name}' {message}", file=sys.stderr, flush=True)
            return {"outcome": "failed", "message": message}
        before = {out.def_path: _hash(out) for out in stage.outs}
        seen.watch(repo.lock)
        repo.scm_context.quiet = True  # "git add dvc.lock" after each stage: the step `commit` does that
        done = repo.reproduce(name, single_item=True, force=command["force"])
        if not done:
            return {"outcome": "unchanged"}
        after = {out.def_path: _hash(out) for out in done[0].outs}
        if seen.started:
            _keep_run(repo, done[0])
        made = entries.made if entries is not None and seen.started else {}
        return {"outcome": "ran" if seen.started else "restored", "changed": before != after, "runs": made,
                "entry": _entry(done[0]) if seen.started else ""}  # fmt: skip


def _isolate(prefix: list[str]) -> None:
    """Have DVC start commands behind `prefix`; DVC itself goes on as before: it writes cache and dvc.lock."""
    import dvc.stage.run as module

    isolation.before_start(prefix)  # in the fork that this stage has for itself
    made = module._make_cmd

    def make_isolated_command(executable: str | None, text: str) -> list[str]:
        return [*isolation.present(prefix), *made(executable or "/bin/sh", text)]

    module._make_cmd = make_isolated_command


def _entry(stage: Any) -> str:
    """Return the fingerprint of what DVC has just written into dvc.lock; a later stage can change that file."""
    from dvc.stage import PipelineStage
    from dvc.stage.serialize import to_single_stage_lockfile

    from mlbutler.provenance import fingerprint

    return fingerprint(to_single_stage_lockfile(stage)) if isinstance(stage, PipelineStage) else ""


def _keep_run(repo: Any, stage: Any) -> None:
    """Put a run into the run cache that DVC leaves out: one with an uncached output that is no metric or plot.

    The next agent would run the stage again. Large outputs are not put in: that is why they are not cached.
    """
    own = [out for out in stage.outs if not (out.use_cache or out.is_metric or out.is_plot)]
    if own and all((out.meta.size or _LARGE) < _LARGE for out in own):
        repo.stage_cache.save(stage)


def _is_changed(repo: Any, name: str) -> bool:
    from dvc.exceptions import DvcException

    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return bool(repo.reproduce(name, single_item=True, allow_missing=True, dry=True))
    except DvcException as error:
        if _kind(error) == "busy":
            raise
        return True  # the real run says what is wrong
    finally:
        logger.setLevel(level)


def _lacking(repo: Any, stage: Any) -> dict[str, str]:
    """Map path -> stage that makes it, '' where none does, of what the stage reads and is missing here.

    A dependency may be a folder that stages put their outputs into: it is there, and one of those is not.
    """
    outs = [out for out in repo.index.outs if out.protocol == "local" and not out.stage.is_data_source]
    found: dict[str, str] = {}
    for dep in stage.deps:
        if dep.protocol != "local" or not dep.def_path:
            continue
        here = [out for out in outs if _holds(out.fs_path, dep.fs_path)]
        parts = [out for out in outs if _holds(dep.fs_path, out.fs_path) and out.fs_path != dep.fs_path]
        for path, maker in [(dep.fs_path, here[0].stage.addressing if here else ""),
                            *((out.fs_path, out.stage.addressing) for out in parts)]:  # fmt: skip
            # Of a params file that no stage makes DVC itself says what is wrong.
            if not Path(path).exists() and (maker or not hasattr(dep, "params")):
                found[os.path.relpath(path).replace(os.sep, "/")] = maker
    return found


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _hash(out: Any) -> str | None:
    return out.hash_info.value if out.hash_info else None


class _Commands:
    """Notices that DVC starts the stage's command: what ran, and what it was spared.

    DVC says so only in log messages; that it starts a program with ``DVC_STAGE`` set is documented.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock: Any = None
        self._floor = 0
        self.started = False

    def watch(self, lock: Any) -> None:
        """Begin to watch. `lock` is the repository's, which DVC releases while the command runs."""
        self._lock = lock

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Note the start of a command; an audit hook."""
        if event == "subprocess.Popen" and args[3] is not None and args[3].get("DVC_STAGE") == self._name:
            self.started = True
            # A child starts with its parent's peak on its account.
            self._floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MEMORY_UNIT
            if hasattr(self._lock, "_wait"):
                self._lock._wait = True  # results of hours are not thrown away because the lock is taken meanwhile

    def peak(self) -> int | None:
        """Return the bytes that the largest process of the command held; None when it was too small to measure."""
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _MEMORY_UNIT
        return peak if self.started and peak > self._floor + _MEMORY_NOISE else None


# ------------------------------------------------------------------------------------------- errors


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _kind(error: BaseException) -> str:
    from dvc.exceptions import DvcException
    from dvc.lock import LockError

    if any(isinstance(link, LockError) for link in _chain(error)):
        return "busy"
    if isinstance(error, DvcException | ProjectError):
        return "project"
    return "outside" if isinstance(error, OSError) else "bug"


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    from dvc.exceptions import DvcException
    from dvc.stage.cache import RunCacheNotFoundError

    # DVC looks into its run cache before it does anything: that a stage is not there is no reason.
    chain = [link for link in _chain(error) if not isinstance(link, RunCacheNotFoundError)]
    known = [link for link in chain if isinstance(link, DvcException | ProjectError | OSError) and str(link)]
    if (ended := next((link for link in known if _EXITED_WITH.search(str(link))), None)) is not None:
        return str(ended)
    causes = [error]  # those that were named as such: beside them lies whatever was dealt with meanwhile
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    foreign = next((link for link in causes if not isinstance(link, DvcException | ProjectError | OSError)), None)
    if foreign is not None:  # a fault of a library, or of DVC itself, whose text alone seldom says what it is
        said = [str(link) for link in causes[: causes.index(foreign)] if str(link)]
        return ": ".join([*said[-1:], f"{type(foreign).__name__}: {foreign}".removesuffix(": ")])
    told = known[-1] if known else error
    return str(told) or type(told).__name__


if __name__ == "__main__":
    code = main(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # DVC's modules are not taken apart first
