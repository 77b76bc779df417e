"""A temporary repository for the git commands that hold a credential on a CI server.

The project's own code runs as the same user in the same clone: it can write ``.git/config``, hooks, ``~/.gitconfig``,
``~/.netrc`` and ``~/.ssh/config``, and each of these can send a password elsewhere or have a program started. So git
talks to the remote from a bare repository that is made for one command in a temporary folder. It shares only the
objects with the clone, takes its configuration from mlbutler, from the environment and from files that this user
cannot write, and holds one credential in its environment.
"""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mlbutler.errors import GitError
from mlbutler.frozen import frozen
from mlbutler.git.address import Address
from mlbutler.git.clone import Clone
from mlbutler.git.command import Done
from mlbutler.git.out_of_reach import is_out_of_reach
from mlbutler.git.token_user import token_user
from mlbutler.variables import GIT_KEY, GIT_TOKEN, GIT_USER

_FETCHED = "refs/mlbutler/fetched/"
_KNOWN = "refs/mlbutler/known/"
_MOST_KNOWN = 1000
"""So many of the clone's refs tell the remote what is here already."""

# What an agent's owner sets for git in the environment: proxies, certificates, SSH.
_OWNERS = {
    "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY", "GIT_PROXY_COMMAND",
    "GIT_PROXY_SSL_CAINFO", "GIT_PROXY_SSL_CERT", "GIT_PROXY_SSL_KEY", "GIT_HTTP_LOW_SPEED_LIMIT",
    "GIT_HTTP_LOW_SPEED_TIME", "GIT_HTTP_USER_AGENT", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT",
    "GIT_EXEC_PATH", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
}  # fmt: skip
_STANDARD_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_CONFIG = """\
[core]
	repositoryformatversion = {version}
	bare = true
	hooksPath = /dev/null
	fsmonitor = false
	attributesFile = /dev/null
	commitGraph = false
	multiPackIndex = false
	alternateRefsCommand = true
[extensions]
{extension}
[gc]
	auto = 0
[maintenance]
	auto = false
[credential]
{helper}
[submodule]
	recurse = false
[push]
	gpgSign = false
	followTags = false
	recurseSubmodules = no
	useBitmaps = false
[fetch]
	writeCommitGraph = false
[transfer]
	advertiseSID = false
"""


@frozen
class GitCredential:
    """Hold what git logs in with: user name and password, a private key's file, or an askpass program."""

    user: str = ""
    password: str = ""
    key: str = ""
    program: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str], address: Address) -> GitCredential:
        """Return the environment's credential for this address, or an empty one."""
        get = environ.get
        if address.protocol == "file":
            return cls()
        if address.protocol == "ssh":
            return cls(key=get(GIT_KEY, ""))
        if token := get(GIT_TOKEN):
            return cls(token_user(token, get(GIT_USER) or address.user), token)
        if password := get("GIT_PASSWORD"):  # Jenkins' gitUsernamePassword
            return cls(token_user(password, get("GIT_USERNAME") or address.user), password)
        if address.password:
            return cls(address.user, address.password)
        if (token := get("GITHUB_TOKEN")) and _is_at(address, get("GITHUB_SERVER_URL")):
            return cls("x-access-token", token)
        if (token := get("CI_JOB_TOKEN")) and _is_at(address, get("CI_SERVER_URL")):
            return cls("gitlab-ci-token", token)
        return cls(program=get("GIT_ASKPASS", ""))


def _is_at(address: Address, server: str | None) -> bool:
    """Return whether the repository is on `server`, which the CI server's own token is for."""
    parts = urlsplit(server or "")
    return bool(parts.netloc) and (address.protocol, address.host) == (parts.scheme, parts.netloc.rpartition("@")[2])


class PrivateRepository:
    """Talk to the remote at one address for a clone, without reading the clone's configuration.

    Args:
        clone: git in the clone, without credentials. environ: where credentials and the owner's settings are.
    """

    def __init__(self, clone: Clone, address: Address, environ: Mapping[str, str]) -> None:
        self._clone, self._address, self._environ = clone, address, environ

    def fetch(self, options: Sequence[str], refspecs: Sequence[str]) -> Done:
        """Fetch refs into the clone, as ``git fetch`` does; their commits are the lines of the result's text."""
        pairs = [(spec.removeprefix("+").partition(":")) for spec in refspecs]
        wanted = [f"+{source}:{_FETCHED}{number}" for number, (source, _, _) in enumerate(pairs)]
        with self._workspace(known=True) as workspace:
            done = workspace.run("fetch", *options, "--", self._address.url, *wanted)
            if done.code != 0:
                return done
            listed = workspace.run("for-each-ref", "--format=%(refname) %(objectname)", _FETCHED).text.splitlines()
            workspace.update_shallow()
        found = dict(line.split(" ") for line in listed)
        oids = [found.get(f"{_FETCHED}{number}", "") for number in range(len(pairs))]
        targets = [(target, oid) for (_, _, target), oid in zip(pairs, oids, strict=True) if target and oid]
        moved = [(target, oid) for target, oid in targets if workspace.known.get(target) != oid]
        if moved:
            lines = "".join(f"option no-deref\nupdate {target} {oid}\n" for target, oid in moved)
            self._clone.run("update-ref", "--stdin", input=lines.encode())
        return Done(0, "\n".join(oids).encode(), done.err)

    def ask(self, options: Sequence[str], patterns: Sequence[str], timeout: float | None) -> Done:
        """Return the remote's refs, as ``git ls-remote`` lists them."""
        with self._workspace() as workspace:
            return workspace.run("ls-remote", *options, "--", self._address.url, *patterns, timeout=timeout)

    def push(self, options: Sequence[str], *refspecs: str) -> Done:
        """Push commits to refs."""
        with self._workspace() as workspace:
            return workspace.run("push", *options, "--", self._address.url, *refspecs)

    @contextmanager
    def _workspace(self, *, known: bool = False) -> Iterator[_Workspace]:
        with tempfile.TemporaryDirectory(prefix="mlbutler-git-") as folder:  # 0700
            workspace = _Workspace(Path(folder), self._clone, self._address, self._environ)
            workspace.prepare(known=known)
            yield workspace


class _Workspace:
    """Hold the temporary folder of one command: bare repository, home without settings, askpass program.

    Attributes:
        known: the clone's refs that tell the remote what is here already.
    """

    def __init__(self, folder: Path, clone: Clone, address: Address, environ: Mapping[str, str]) -> None:
        self._folder, self._clone, self._address, self._environ = folder, clone, address, environ
        self._repository = folder / "repository.git"
        self._credential = GitCredential.of(environ, address)
        self._objects = clone.path("objects")
        self._shallow = clone.path("shallow")
        self.known: dict[str, str] = {}

    def prepare(self, *, known: bool) -> None:
        """Write what git needs to accept the folder as a repository.

        Args:
            known: list the clone's refs in it, so that a fetch brings only what is missing.
        """
        repository = self._repository
        for name in ("refs", "objects", "info"):
            (repository / name).mkdir(parents=True)
        (repository / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        long = self._clone.has_long_ids()
        text = _CONFIG.format(
            version=1 if long else 0,
            extension="\tobjectFormat = sha256" if long else "",
            helper="\thelper =" if self._credential != GitCredential() else "",
        )
        (repository / "config").write_text(text, encoding="utf-8")
        (self._folder / "gitconfig").write_text(self._global(), encoding="utf-8")
        if known:
            self._know_refs()
        shallow = _content(self._shallow)
        if shallow:
            (repository / "shallow").write_bytes(shallow)

    def _global(self) -> str:
        lines = []
        named = self._environ.get("GIT_CONFIG_GLOBAL", "")
        if named and is_out_of_reach(Path(named)):
            lines += ["[include]", f"\tpath = {_quoted(named)}"]
        if self._address.protocol == "file":
            lines += ["[safe]", f"\tdirectory = {_quoted(self._address.url)}"]
            lines += [f"\tdirectory = {_quoted(f'{self._address.url}/.git')}"]
        return "".join(f"{line}\n" for line in lines)

    def _know_refs(self) -> None:
        options = (f"--count={_MOST_KNOWN}", "--sort=-committerdate", "--format=%(refname) %(objectname)")
        listed = self._clone.run("for-each-ref", *options, "refs/heads", "refs/remotes", check=False).text.splitlines()
        self.known = dict(line.split(" ") for line in listed)
        oids = list(dict.fromkeys([*self._clone.heads(), *self.known.values()]))
        lines = [f"{oid} {_KNOWN}{number}\n" for number, oid in enumerate(oids)]
        (self._repository / "packed-refs").write_text("".join(sorted(lines, key=lambda line: line.split()[1])), "ascii")

    def update_shallow(self) -> None:
        """Write into the clone where its history is cut off now."""
        before, after = _content(self._shallow), _content(self._repository / "shallow")
        if before == after:
            return
        if not after:
            self._shallow.unlink(missing_ok=True)
            return
        new = self._shallow.with_name(f"{self._shallow.name}.{os.getpid()}.mlbutler")
        new.unlink(missing_ok=True)
        new.write_bytes(after)
        new.replace(self._shallow)

    def run(self, *args: str, timeout: float | None = None) -> Done:
        """Run one git command in the temporary repository."""
        return self._clone.execute(args, cwd=self._folder, environ=self._variables(), timeout=timeout)

    def _variables(self) -> dict[str, str]:
        found = {name: value for name, value in self._environ.items() if self._is_owners(name, value)}
        found |= {
            "PATH": os.pathsep.join(dict.fromkeys([str(Path(self._clone.program).parent), *_STANDARD_PATH])),
            "HOME": str(self._folder), "XDG_CONFIG_HOME": str(self._folder), "TMPDIR": str(self._folder),
            "GIT_DIR": str(self._repository), "GIT_OBJECT_DIRECTORY": str(self._objects),
            "GIT_CONFIG_GLOBAL": str(self._folder / "gitconfig"), "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1", "GIT_ALLOW_PROTOCOL": self._protocols(),
        }  # fmt: skip
        system = self._environ.get("GIT_CONFIG_SYSTEM") or "/etc/gitconfig"
        if is_out_of_reach(Path(system)) and not self._environ.get("GIT_CONFIG_NOSYSTEM"):
            found["GIT_CONFIG_SYSTEM"] = system
        else:
            found["GIT_CONFIG_NOSYSTEM"] = "1"
        return found | self._ssh() | self._askpass()

    def _is_owners(self, name: str, value: str) -> bool:
        if name.upper() in _OWNERS:
            # A file in the work tree is one that the project's code can write.
            return not (Path(value).is_absolute() and Path(value).resolve().is_relative_to(self._clone.toplevel()))
        return name.startswith(("GIT_TRACE", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))

    def _protocols(self) -> str:
        return "http:https" if self._address.protocol == "http" else self._address.protocol

    def _ssh(self) -> dict[str, str]:
        """Return variables that make git ignore ``~/.ssh/config``, which may start a program.

        ``known_hosts`` is read: at worst it makes the connection fail.
        """
        if self._address.protocol != "ssh":
            return {}
        if not self._credential.key and (self._environ.get("GIT_SSH_COMMAND") or self._environ.get("GIT_SSH")):
            return {}
        system = Path("/etc/ssh/ssh_config")
        key = ["-i", self._credential.key, "-o", "IdentitiesOnly=yes"] if self._credential.key else []
        words = ["ssh", "-F", str(system) if is_out_of_reach(system) else "none", *key,
                 "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new"]  # fmt: skip
        return {"GIT_SSH_COMMAND": shlex.join(words)}

    def _askpass(self) -> dict[str, str]:
        """Return variables with an askpass program that gives user name and password for this host alone."""
        credential = self._credential
        if credential.program:
            return {"GIT_ASKPASS": credential.program}
        if not credential.password:
            return {}
        program = self._folder / "askpass"
        scheme, host = self._address.protocol, self._address.host
        plain, begun, ended = map(shlex.quote, (f"'{scheme}://{host}'", f"'{scheme}://", f"@{host}'"))
        ours = f"*{plain}*|*{begun}*{ended}*"
        # The program holds no secret: it prints what its own environment holds.
        program.write_text(
            f'#!/bin/sh\ncase "$1" in {ours}) ;; *) exit 1 ;; esac\n'
            f'case "$1" in [Uu]sername*) printf %s "${GIT_USER}" ;; *) printf %s "${GIT_TOKEN}" ;; esac\n',
            encoding="utf-8",
        )
        program.chmod(stat.S_IRWXU)
        return {"GIT_ASKPASS": str(program), GIT_USER: credential.user, GIT_TOKEN: credential.password}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise GitError(f"{path} cannot be read: {error.strerror}", "Use a fresh clone.") from error


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
