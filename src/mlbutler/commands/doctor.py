"""`mlbutler doctor`: what is missing here, each with its remedy."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from mlbutler.commands.start import begin
from mlbutler.console import Console, human_bytes
from mlbutler.errors import EXIT_JUDGED, EXIT_PASSED, MlbutlerError
from mlbutler.steps.work import Work
from mlbutler.store.interface import ObjectId, Presence

_OLDEST_GIT = (2, 30)
_LITTLE_SPACE = 2 * 1024**3
# No object has this name (it would be the MD5 of something unknown); a healthy remote says that it is missing.
_PROBE = ObjectId("0123456789abcdef0123456789abcdef")


@dataclass(frozen=True)
class Examined:
    """One thing looked at. `state`: ``ok``, ``note`` (works without) or ``missing``."""

    subject: str
    state: str
    text: str
    remedy: str = ""


def doctor(directory: Path, console: Console, *, settings: bool = False, forge: bool = False) -> int:
    """Examine the project at `directory`; returns 0 when nothing is missing, else 1.

    Args:
        settings: show each setting with its source instead. forge: try the forge instead, by writing too.

    Raises:
        UsageError: as `begin`.
    """
    with begin(directory, console) as work:
        if settings:
            _show_settings(work)
            return EXIT_PASSED
        if forge:
            from mlbutler.commands.doctor_forge import examine_forge

            found = list(examine_forge(work))
        else:
            found = list(_examine(work))
    signs = {"ok": "ok     ", "note": "note   ", "missing": "MISSING"}
    for item in found:
        console.line(
            f"{signs[item.state]}  {item.subject}: {item.text}" + (f"\n         {item.remedy}" if item.remedy else "")
        )
    if console.json:
        print(json.dumps([dataclasses.asdict(item) for item in found], indent=2, ensure_ascii=False))
    return EXIT_JUDGED if any(item.state == "missing" for item in found) else EXIT_PASSED


def _show_settings(work: Work) -> None:
    values = work.settings.model_dump(mode="json")
    rows = []
    for key, source in work.loaded.sources.items():
        section, _, name = key.partition(".")
        value = values[section][name] if name else values[section]
        rows.append({"setting": key, "value": value, "source": source})
        work.console.line(f"{key} = {json.dumps(value, ensure_ascii=False)}    ({source})")
    if work.console.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))


def _examine(work: Work) -> Iterator[Examined]:
    for subject, examine in (
        ("git", _git), ("dvc", _dvc), ("project", _project), ("change", _change), ("remote", _remote),
        ("mirror", _mirror), ("disk", _disk), ("test", _test), ("lint", _lint), ("gates", _gates),
        ("waivers", _waivers), ("credentials", _credentials), ("forge", _forge),
    ):  # fmt: skip
        yield _guarded(work, subject, examine)


def _guarded(work: Work, subject: str, examine: Callable[[Work], Examined]) -> Examined:
    try:
        return examine(work)
    except MlbutlerError as error:
        return Examined(subject, "missing", error.message, error.remedy)


def _git(work: Work) -> Examined:
    text = work.record.environment.git
    numbers = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
    if numbers < _OLDEST_GIT:
        return Examined("git", "missing", f"{text} is too old", "Install git 2.30 or newer.")
    return Examined("git", "ok", text)


def _dvc(work: Work) -> Examined:
    return Examined("dvc", "ok", version("dvc"))


def _project(work: Work) -> Examined:
    stages = work.project.stages
    return Examined("project", "ok", f"{work.root}: {len(stages.pipeline())} stages, {len(stages.owners)} outputs")


def _change(work: Work) -> Examined:
    change = work.record.change
    if change.base is None:
        return Examined(
            "change", "note", "nothing to compare with: no merge base with a target branch",
            "Set project.target, or pass --against to `mlbutler compare`.",
        )  # fmt: skip
    return Examined(
        "change",
        "ok",
        f"{change.ci}, {change.kind}, compared with {change.base[:10]} ({change.target_branch})",
    )


def _remote(work: Work) -> Examined:
    from mlbutler.store.remotes import open_remote

    if work.remote is None:
        return Examined("remote", "missing", "no DVC remote is configured", "dvc remote add -d NAME URL")
    answer = open_remote(work.project, work.remote, work.environ).ask([_PROBE])[_PROBE]
    if answer.presence is Presence.UNDETERMINED:
        return Examined(
            "remote", "missing", f"'{work.remote}' does not answer: {answer.reason}",
            "Check the network and the credentials (docs/credentials.md).",
        )  # fmt: skip
    return Examined("remote", "ok", f"'{work.remote}' answers")


def _mirror(work: Work) -> Examined:
    mirror = work.mirror
    if mirror is None:
        return Examined("mirror", "note", "none is set: every build downloads for itself", "Set data.mirror on agents.")
    try:
        mirror.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=mirror, prefix=".doctor-") as probe:
            links = _can_link(Path(probe.name), work.project.cache_dir)
    except OSError as error:
        return Examined(
            "mirror", "missing", f"{mirror} cannot be written: {error.strerror}", "Give this user the right."
        )
    how = "cache and mirror share a file system" if links else "another file system than the cache: objects are copied"
    return Examined("mirror", "ok", f"{mirror} is writable, {how}")


def _can_link(probe: Path, cache: Path) -> bool:
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f".doctor-{os.getpid()}"
    try:
        target.hardlink_to(probe)
    except OSError:
        return False
    target.unlink()
    return True


def _disk(work: Work) -> Examined:
    free = shutil.disk_usage(work.root).free
    if free < _LITTLE_SPACE:
        return Examined(
            "disk", "note", f"only {human_bytes(free)} free", "`dvc gc --workspace` removes unused objects."
        )
    return Examined("disk", "ok", f"{human_bytes(free)} free")


def _test(work: Work) -> Examined:
    if not work.settings.test.command:
        return Examined("test", "note", "not configured", 'Set test.command, such as "pytest --junitxml=report.xml".')
    return Examined("test", "ok", "; ".join(work.settings.test.command))


def _lint(work: Work) -> Examined:
    if not work.settings.lint.commands:
        return Examined("lint", "note", "not configured", 'Set lint.commands, such as ["ruff check"].')
    return Examined("lint", "ok", "; ".join(work.settings.lint.commands))


def _gates(work: Work) -> Examined:
    if not work.settings.gate:
        return Examined(
            "gates", "note", "none: no number can stop a pull request", "Add a [[gate]] (docs/settings.md)."
        )
    if any(gate.repeats for gate in work.settings.gate) and not work.settings.repeat.seed:
        remedy = "Set repeat.seed (docs/compare.md)."
        return Examined("gates", "missing", "a gate has repeats, and no seed is named", remedy)
    return Examined(
        "gates", "ok", f"{len(work.settings.gate)} on {', '.join(gate.subject for gate in work.settings.gate)}"
    )


def _waivers(work: Work) -> Examined:
    from mlbutler.errors import SettingsError
    from mlbutler.gate.waivers import FILE_NAME, parse

    try:
        found = parse((work.root / FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Examined("waivers", "ok", "none")
    except SettingsError as error:
        return Examined("waivers", "missing", error.message, error.remedy)
    except (OSError, UnicodeDecodeError) as error:
        return Examined("waivers", "missing", f"{FILE_NAME} cannot be read: {error}", "Mend or remove it.")
    lapsed = [waiver.gate for waiver in found if waiver.until < datetime.now(UTC).date()]
    if lapsed:
        return Examined("waivers", "note", f"lapsed: {', '.join(lapsed)}", f"Remove what lapsed from {FILE_NAME}.")
    return Examined("waivers", "ok", f"{len(found)} on {', '.join(waiver.gate for waiver in found)}")


def _credentials(work: Work) -> Examined:
    local = work.root / ".dvc" / "config.local"
    if local.is_file() and re.search(
        r"^\s*(password|secret_access_key|access_key_id)\s*=", local.read_text(), re.MULTILINE
    ):
        return Examined(
            "credentials", "note", ".dvc/config.local holds a credential that stages can read",
            "Pass it through the environment instead (docs/credentials.md).",
        )  # fmt: skip
    return Examined("credentials", "ok", "none in .dvc/config.local")


def _forge(work: Work) -> Examined:
    """Is one found, and is there a token? Nothing is asked over the network here."""
    from mlbutler.forge.opening import NoToken
    from mlbutler.steps.reviewers import opened

    if not work.trusted:
        return Examined("forge", "note", "a fork's change publishes nothing and has no token")
    try:
        forge = opened(work)
    except NoToken as error:
        named = work.settings.forge.kind or work.settings.forge.url
        return Examined("forge", "missing" if named else "note", error.message, error.remedy)
    if forge is None:
        return Examined("forge", "note", "none found: no reviewer is told", "See docs/forges.md.")
    return Examined("forge", "ok", f"{forge.name}; `mlbutler doctor --forge` tries it")
