"""Detect that a stage's inputs changed while it ran: DVC hashes them before and after, and records the latter.

What DVC would record then pairs the new code with an output of the old: of such a stage nothing is recorded, neither in
dvc.lock nor in the run cache, and no output goes into the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def watch(started: Callable[[Any], bool], tell: Callable[[list[str]], None]) -> None:
    """Make DVC, in this process, end a stage whose inputs changed before it records anything of it.

    Args:
        started: has the command of this stage of DVC's been started? tell: is given what changed.
    """
    from dvc.stage import Stage

    hash_inputs = Stage.save_deps

    def save_deps(stage: Any, *args: Any, **options: Any) -> Any:
        before = [dep.hash_info for dep in stage.deps]
        done = hash_inputs(stage, *args, **options)
        if started(stage):
            pairs = zip(stage.deps, before, strict=True)
            changed = [name for dep, was in pairs for name in _differences(dep, was)]
            if changed:
                from dvc.exceptions import DvcException

                tell(changed)
                raise DvcException(f"inputs changed while it ran: {', '.join(changed[:5])}")
        return done

    Stage.save_deps = save_deps


def _differences(dep: Any, was: Any) -> list[str]:
    old, new = was.value if was else None, dep.hash_info.value if dep.hash_info else None
    if not hasattr(dep, "params"):
        return [dep.def_path] if old != new else []
    old, new = (value if isinstance(value, dict) else {} for value in (old, new))
    # Compared as text: NaN differs from itself.
    names = [name for name in dict.fromkeys((*old, *new)) if repr(old.get(name)) != repr(new.get(name))]
    return [f"{dep.def_path}:{name}" for name in names]
