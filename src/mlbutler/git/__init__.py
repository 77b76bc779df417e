"""Git: the only package that runs it."""

from mlbutler.git.command import Done
from mlbutler.git.repository import Git
from mlbutler.git.tree import TreeEntry

__all__ = ["Done", "Git", "TreeEntry"]
