"""A jenkins.war and plugins, as far as their manifests are read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

JENKINS, REMOTING = "2.568.2", "3355.v388858a_47b_33"
OLDER_JENKINS, OLDER_REMOTING = "2.426.2", "3160.vd76b_9ddd10cc"  # before agent.jar knew -url


def _archive(manifest: Mapping[str, str], files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with ZipFile(made, "w") as archive:
        # As Java writes it: a long line goes on in the next one behind a blank, sections of single files follow.
        lines = "".join(f"{key}: {value[:3]}\r\n {value[3:]}\r\n" for key, value in manifest.items())
        archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\n{lines}\r\nName: x\r\nVersion: 0\r\n")
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def war(path: Path, jenkins: str = JENKINS, remoting: str = REMOTING) -> Path:
    """Write a jenkins.war."""
    agent = _archive({"Version": remoting}, {})
    path.write_bytes(_archive({"Jenkins-Version": jenkins}, {f"WEB-INF/lib/remoting-{remoting}.jar": agent}))
    return path


def plugin(path: Path, jenkins: str = "2.361.4") -> Path:
    """Write a plugin that wants a Jenkins of that version or newer."""
    path.write_bytes(_archive({"Jenkins-Version": jenkins}, {}))
    return path
