"""The process behind `tests.forked_python`: imports DVC and all of mlbutler, then forks for each command.

It listens on a socket at the path that is its argument, until its standard input ends. A request is its length, its
files, and a JSON object as `tests.forked_children` takes it; the answer is the exit code, or the id of a process that
the tests' process adopts. Or that object says what is to be imported as well. It has no thread and reads no project.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress

from tests import forked_children

_PACKAGES = ("mlbutler", "dvc.commands", "dvc.repo", "dvc_data")
_MODULES = (
    "antlr4.LL1Analyzer", "configobj", "cryptography.hazmat.primitives.serialization.ssh", "dulwich.ignore",
    "dulwich.index", "dulwich.line_ending", "dulwich.patch", "dulwich.porcelain", "dulwich.trailers",
    "dulwich.worktree", "dvc._debug", "dvc.cachemgr", "dvc.cli.parser", "dvc.daemon", "dvc.data_cloud", "dvc.dirs",
    "dvc.lock", "dvc.output", "dvc.rwlock", "dvc.scm", "dvc.stage.run", "dvc.utils.hydra", "dvc.utils.strictyaml",
    "dvc_http", "encodings.ascii", "encodings.cp437", "encodings.unicode_escape", "encodings.utf_16_be",
    "encodings.utf_8_sig", "filelock", "flatten_dict", "flufl.lock", "fsspec.implementations.memory", "httpcore",
    "httpx", "hydra", "hydra._internal.config_loader_impl", "hydra._internal.core_plugins.basic_sweeper", "jinja2",
    "kombu.transport.filesystem", "networkx", "platformdirs", "psutil", "pycurl", "pygit2", "pyparsing",
    "rich._emoji_codes", "rich.json", "rich.live", "rich.status", "ruamel.yaml", "ruamel.yaml.mergevalue",
    "scmrepo.fs", "scmrepo.git", "scmrepo.git.backend.pygit2", "scmrepo.git.backend.pygit2.filter", "tarfile",
    "tomllib", "zc.lockfile",
)  # fmt: skip
"""What DVC and mlbutler import while they work."""
_NO_MODULES = ("mlbutler.demo.template", "mlbutler.jenkins.server", "mlbutler.scaffold.files")
_LENGTH = 8
_HUGE, _COLLAPSE = 1 << 21, 25
"""A huge page's bytes, and `MADV_COLLAPSE` of the kernel's mman.h."""


def header(content: bytes) -> bytes:
    """Return what announces a request."""
    return len(content).to_bytes(_LENGTH, "big")


def _serve(address: str) -> None:
    os.chdir("/")
    gc.disable()  # what is imported is no garbage
    _import()
    _keep()
    gc.enable()
    gc.set_threshold(1_500_000, 50, 100)  # as `mlbutler.__main__` has it; DVC's commands end as soon
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    os.write(1, b"ready\n")
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj == 0:  # the tests have ended
                    return
                if key.fileobj is listening:
                    _Command(listening.accept()[0], waiting)
                else:
                    key.data()


def _keep() -> None:
    """Make it cheap to fork this process, with all that it has now."""
    gc.collect()
    gc.freeze()
    _use_huge_pages()


def _use_huge_pages() -> None:
    """Have the kernel keep this process' memory in pages of 2 MB, where it can (Linux 6.1, `madvise`(2)).

    Of what a fork costs, 11 ms with small pages and 7 with these, most is the copy of the table of pages.
    """
    madvise = ctypes.CDLL(None).madvise
    with open("/proc/self/maps") as maps:  # noqa: PTH123 - as few modules as possible
        areas = [line.split() for line in maps]
    for place, rights, _, _, _, *name in areas:
        if rights == "rw-p" and name in ([], ["[heap]"]):
            start, end = (int(address, 16) for address in place.split("-"))
            start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
            if start < end:
                madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _COLLAPSE)


def _import() -> None:
    names = list(_MODULES)
    for package in map(importlib.import_module, _PACKAGES):
        found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        names += [name for _, name, _ in found if not name.startswith(_NO_MODULES) and not name.endswith(".__main__")]
    for name in names:
        with suppress(ImportError):  # of an extra that is not installed, or in another release of DVC
            importlib.import_module(name)
    os.fsync = lambda fd: None  # that a disk keeps what is written when the power fails is not tested
    from dvc.cli import parser

    made = parser.get_main_parser()  # the same for each command line, and hundreds of options
    parser.get_main_parser = lambda: made
    _prepare()


_DVC_YAML = """
stages:
  one:
    cmd: python one.py
    deps: [one.py]
    params: [one.rate]
    outs: [one]
    metrics: [{metrics.json: {cache: false}}]
    plots: [{curve.csv: {cache: false, x: step, y: loss}}]
"""
_DVC_LOCK = """
schema: '2.0'
stages:
  one:
    cmd: python one.py
    deps: [{path: one.py, hash: md5, md5: 0cc175b9c0f1b6a831c399e269772661, size: 1}]
    params: {params.yaml: {one.rate: 0.1}}
    outs: [{path: one, hash: md5, md5: 0cc175b9c0f1b6a831c399e269772661.dir, size: 1, nfiles: 1}]
"""


def _prepare() -> None:
    """Do once what each command would repeat, whatever its project: compile schemas and templates."""
    import msgspec
    from diskcache import core
    from dvc import config, schema
    from dvc.utils import strictyaml

    from mlbutler import record
    from mlbutler.forge import http
    from mlbutler.report.board import page
    from mlbutler.settings import types
    from tests.patience import be_patient
    from tests.soon import retry_soon, save_soon

    retry_soon()
    save_soon()
    be_patient()
    core.DEFAULT_SETTINGS["sqlite_synchronous"] = 0  # as `os.fsync` above
    for section in ({}, {"core": {"remote": "one"}, "remote": {"one": {"url": "/one"}}, "cache": {"dir": "/two"}}):
        config.get_compiled_schema()(config.Config._map_dirs(section, str))
    for kind in ("safe", "rt"):
        for text, check in (
            (_DVC_YAML, schema.COMPILED_MULTI_STAGE_SCHEMA), (_DVC_LOCK, schema.COMPILED_LOCKFILE_SCHEMA)
        ):  # fmt: skip
            check(strictyaml.parse_yaml(text, "dvc.yaml", typ=kind))
    for decoded in (record.Record, *types.SettingsSection.__subclasses__()):
        msgspec.json.Decoder(decoded)
    page.environment().get_template("board.html")
    http._context(None, None, None)  # the certificates of all authorities


class _Command:
    """One that runs, seen from the process that forked it; killed when nobody is connected any more."""

    def __init__(self, connection: socket.socket, waiting: selectors.BaseSelector) -> None:
        self._connection, self._waiting = connection, waiting
        request, files = _receive(connection)
        if "import" in request:
            for name in request["import"]:
                importlib.import_module(name)
            _keep()
            connection.sendall(b"0\n")
            connection.close()
            return
        self._answers = not request["orphan"]
        self._process = _start(request, files, connection)
        self._ended = os.pidfd_open(self._process)
        waiting.register(self._ended, selectors.EVENT_READ, self._answer)
        waiting.register(connection, selectors.EVENT_READ, self._kill)

    def _kill(self) -> None:
        with suppress(OSError, ValueError, KeyError):  # it has ended at this moment
            self._waiting.unregister(self._connection)
            signal.pidfd_send_signal(self._ended, signal.SIGKILL)

    def _answer(self) -> None:
        self._waiting.unregister(self._ended)
        os.close(self._ended)
        with suppress(KeyError):
            self._waiting.unregister(self._connection)
        _, status = os.waitpid(self._process, 0)
        with suppress(OSError):
            if self._answers:
                self._connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        self._connection.close()


def _receive(connection: socket.socket) -> tuple[forked_children.Request, list[int]]:
    length, files, _, _ = socket.recv_fds(connection, _LENGTH, forked_children.MOST_FILES)
    content = b""
    while len(content) < int.from_bytes(length, "big"):
        content += connection.recv(1 << 16)
    return json.loads(content), files


def _start(request: forked_children.Request, files: list[int], connection: socket.socket) -> int:
    process = os.fork()
    if process:
        for file in files:
            os.close(file)
        return process
    try:
        os.umask(request["umask"])
        if request.get("mounts"):
            _see_mounts_of(request["mounts"])
        if request["orphan"]:
            forked_children.orphan(request, files, connection)
        forked_children.become(request, files)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _see_mounts_of(process: int) -> None:
    with open(f"/proc/{process}/ns/mnt", "rb") as namespace:  # noqa: PTH123 - as few modules as possible
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
            raise OSError(ctypes.get_errno(), "its mounts cannot be seen")


if __name__ == "__main__":
    _serve(sys.argv[1])
