"""Read the Jenkinsfile that a project has had so far, and give the new files what it gave its builds."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath

from mlbutler.scaffold.base_image import read_base, starting_from
from mlbutler.scaffold.carried import Carried
from mlbutler.scaffold.carry import FormerJenkinsfile, Remark, carry
from mlbutler.scaffold.detected import DetectedProject
from mlbutler.scaffold.files import inside, read_text
from mlbutler.scaffold.jenkinsfile import purposes

JENKINSFILE = "Jenkinsfile"
WRITTEN_BY = "Written by `mlbutler init`"


def read_former(root: Path, found: DetectedProject, kept: Carried) -> FormerJenkinsfile:
    """Return what the project's own Jenkinsfile gives; what was kept of it where `mlbutler init` wrote another."""
    text = read_text(root / JENKINSFILE)
    if not text or WRITTEN_BY in "\n".join(text.splitlines()[:3]):
        return FormerJenkinsfile(kept)
    local = dict(found.local_remotes)
    former = carry(text, purposes=purposes(found), local_remotes=local, commands=found.commands)
    if former.dockerfile:
        _read_dockerfile(root, former)
    image = former.carried.image
    if image and starting_from(found.image, image) is None:
        former.carried = dataclasses.replace(former.carried, image="")
        files = ", ".join(found.image.files) or f"{found.image.language} code"
        former.taken = [remark for remark in former.taken if not remark.text.startswith(f"image {image}")]
        former.left.insert(0, Remark(0, f"image {image}: {files} asks for {found.image.base}"))
    return former


def _read_dockerfile(root: Path, former: FormerJenkinsfile) -> None:
    path = inside(PurePosixPath(former.dockerfile))
    base = read_base(read_text(root / path)) if path and not (root / path).is_symlink() else ""
    if base:
        former.carried = dataclasses.replace(former.carried, image=base)
        former.taken.append(Remark(0, f"image {base}, from which {path} starts; what else it does is not taken over"))
    else:
        former.left.append(Remark(0, f"{former.dockerfile}: not taken over"))


def giving(found: DetectedProject, carried: Carried) -> DetectedProject:
    """Return the project with what its former Jenkinsfile gave."""
    image = starting_from(found.image, carried.image) if carried.image else None
    return dataclasses.replace(found, carried=carried, image=image or found.image)
