"""Keep in the repository what `mlbutler init` wrote the last time, so that edits can be found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mlbutler.errors import UsageError
from mlbutler.scaffold.carried import Carried, load_carried
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.version import __version__

FILE = ".mlbutler-init.json"


@dataclass(frozen=True)
class ScaffoldManifest:
    """The options that were chosen, and each file's text as it was generated.

    `conflicts` holds the text of those whose merge was left to the user: once they are merged by hand, what the next
    update starts from. `carried` is what the Jenkinsfile gave that was there before the first one.
    """

    options: ScaffoldOptions = field(default_factory=ScaffoldOptions)
    files: Mapping[str, str] = field(default_factory=dict)
    conflicts: Mapping[str, str] = field(default_factory=dict)
    carried: Carried = field(default_factory=Carried)


def load_manifest(root: Path) -> ScaffoldManifest | None:
    """Read the manifest; None when `mlbutler init` has not run here.

    Raises:
        UsageError: the file is not what `mlbutler init` writes.
    """
    try:
        content = json.loads((root / FILE).read_text(encoding="utf-8"))
        files, conflicts = content["files"], content.get("conflicts", {})
        if not all(isinstance(text, str) for pair in (*files.items(), *conflicts.items()) for text in pair):
            raise TypeError
        carried = load_carried(content.get("carried", {}))
        return ScaffoldManifest(ScaffoldOptions(**content["options"]), dict(files), dict(conflicts), carried)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{FILE} cannot be read: {error or 'another form'}.", f"Bring it back with git, or delete {FILE}."
        ) from error


def render_manifest(manifest: ScaffoldManifest) -> str:
    """Return the manifest file's text."""
    content = {
        "mlbutler": __version__,
        "options": asdict(manifest.options),
        "files": dict(sorted(manifest.files.items())),
    }
    if manifest.carried != Carried():
        content["carried"] = asdict(manifest.carried)
    if manifest.conflicts:
        content["conflicts"] = dict(sorted(manifest.conflicts.items()))
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
