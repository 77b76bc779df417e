"""Control which entries of its run cache DVC finds while it runs a stage on a CI server, and what it adds."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlbutler.store.runs import newest_in


class RunCacheView:
    """Stands between DVC and its run cache; one for one stage.

    Args:
        told: `BuildRuns.worker_view`; ``folder`` is made for this stage alone, and what is below it has no known name.

    Attributes:
        made: what DVC added, ``<key>/<value>`` -> content.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self.made: dict[str, str] = {}

    def take_the_place_of(self, stage_cache: Any) -> None:
        """Make DVC's `stage_cache` look here and nowhere else."""
        known, mirror = self._told["known"], self._told["mirror"]
        found = Path(tempfile.mkdtemp(dir=self._told["folder"]))
        save, place = stage_cache.save, stage_cache._get_cache_dir

        def look_up(key: str) -> Any:
            folder = found / key[:2] / key
            if not folder.exists():
                if key in known:
                    folder.mkdir(parents=True)
                    (folder / known[key][0]).write_text(known[key][1], encoding="utf-8")
                elif mirror and (file := newest_in(Path(mirror, "runs", key[:2], key))) is not None:
                    folder.mkdir(parents=True)
                    shutil.copyfile(file, folder / file.name)
            return place(key)

        def save_run(stage: Any) -> None:
            # The command has run since: what it may have left in the folder it was looked up in does not count.
            own = Path(tempfile.mkdtemp(dir=self._told["folder"]))
            stage_cache.cache_dir, stage_cache._get_cache_dir = str(own), place
            save(stage)
            for file in own.glob("*/*/*"):
                self.made[f"{file.parent.name}/{file.name}"] = file.read_text(encoding="utf-8")

        stage_cache.cache_dir, stage_cache._get_cache_dir, stage_cache.save = str(found), look_up, save_run
