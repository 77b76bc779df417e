"""What is installed: a package's version; what an extra adds, and how this installation gets it."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path


def how_to_get(extra: str) -> str:
    """Return the command that adds an extra's packages to the environment that mlbutler runs in.

    It names the packages themselves: mlbutler may have been installed from a wheel, a clone or an index.
    """
    wanted, prefix = packages(extra), Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx inject {prefix.name} {wanted}"
    python = shlex.quote(sys.executable)
    if (prefix / "uv-receipt.toml").exists():  # `uv tool` installs no pip; the next upgrade drops what is not named
        return f"uv pip install --python {python} {wanted}"
    return f"{python} -m pip install {wanted}"


def installed_version(package: str) -> str:
    """Return the version of a package that is installed.

    Where its folder does not say, `importlib.metadata` reads what is in there, with the library for e-mail.
    """
    found = version_by_name(package)
    if found is None:
        from importlib.metadata import version

        return version(package)
    return found


def version_by_name(package: str) -> str | None:
    """Return the version of an installed package as its folder of metadata is named; None where that does not say."""
    name = package.replace("-", "_")
    spec = find_spec(name)
    if spec is None or not spec.origin:
        return None
    start, end = f"{name}-", ".dist-info"
    beside = (place.name for place in Path(spec.origin).parent.parent.iterdir())
    found = [n.removeprefix(start).removesuffix(end) for n in beside if n.startswith(start) and n.endswith(end)]
    versions = [version for version in found if version[:1].isdigit()]
    return versions[0] if len(versions) == 1 else None


def packages(extra: str) -> str:
    """Return an extra's packages as a shell takes them: ``'pyarrow>=15'``."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        wanted = requires("mlbutler") or []
    except PackageNotFoundError:  # run from its source, without being installed
        wanted = []
    marker = f"extra == '{extra}'"
    return shlex.join(line.partition(";")[0].strip() for line in wanted if marker in line.replace('"', "'"))
