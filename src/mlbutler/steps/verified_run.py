"""Run one stage in a clean clone, and compare what it makes with what dvc.lock records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.comparison.first_difference import FirstDifference, of_bytes, of_files, of_metrics
from mlbutler.console import Progress
from mlbutler.errors import Interrupted
from mlbutler.frozen import frozen
from mlbutler.process import output_redactor
from mlbutler.project.build_runs import BuildRuns
from mlbutler.project.model import Output, Stage, Stages
from mlbutler.provenance import sha256_of
from mlbutler.record import Cause, OutputVerified, StagePlan, StageRun, StageState
from mlbutler.remotes.opening import open_mirror
from mlbutler.reproduce.runner import Runner, Surroundings
from mlbutler.steps.context import RunContext
from mlbutler.steps.given_variables import given_environment
from mlbutler.steps.isolated import isolate_code
from mlbutler.steps.stores import open_stores

if TYPE_CHECKING:
    from mlbutler.store.engine import BringOptions
    from mlbutler.store.interface import ObjectId

_LARGEST = 64 * 1024 * 1024
"""Bytes of the largest file in which the first difference is looked for."""


Choose = Callable[[Stages], Sequence[str]]
"""Chooses names among the stages of the commit."""


@frozen
class VerifyRequest:
    """What is to be verified: the commit, the stages of it, and how.

    Attributes:
        share: draw at random among the chosen stages, at least one; None: all of them.
        tolerance: relative, for numbers of metrics. timeout: seconds for one run of a stage.
        digests: hash outputs with SHA-256 too.
    """

    revision: str
    choose: Choose
    share: float | None = None
    tolerance: float = 0.0
    timeout: float | None = None
    digests: bool = False


@dataclass
class StageRunOutputs:
    """What one run of a stage made: each output compared with its record.

    Attributes:
        hashes: output path -> hash. contents: of outputs that differ, (recorded, made) where both could be read.
        largest: relative difference of metrics that are within the tolerance.
    """

    seconds: float
    hashes: dict[str, str] = field(default_factory=dict)
    contents: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    found: list[OutputVerified] = field(default_factory=list)
    largest: float = 0.0

    @property
    def outputs(self) -> tuple[OutputVerified, ...]:
        """Return the outputs, in the stage's order."""
        return tuple(self.found)

    @property
    def same(self) -> bool:
        """Tell whether every output is what is recorded, metrics within the tolerance."""
        return all(out.same for out in self.found)


def inputs(stages: Stages, stage: Stage) -> tuple[str, ...]:
    """Return the paths that a stage reads and DVC keeps."""
    paths: dict[str, None] = {}
    for path in (*(dep.path for dep in stage.dependencies), *(params.path for params in stage.params)):
        if (owner := stages.owner(path)) is not None:
            if owner[1].cached:
                paths[path] = None
        else:
            paths |= dict.fromkeys(out.path for _, out in stages.inside(path) if out.cached)
    return tuple(paths)


class CleanRun:
    """A run of one commit's stages in a clone of their own.

    Args:
        context: the run's, whose remotes the data comes from. scratch: that of the clone, whose cache is empty.
        brought: a store of what the remotes sent for earlier runs, so that it comes once.
    """

    def __init__(self, context: RunContext, scratch: RunContext, brought: Path, request: VerifyRequest) -> None:
        self._context, self._scratch, self._request = context, scratch, request
        self._brought = open_mirror(brought, scratch.project, trusted=context.trusted, link=context.settings.data.link)
        self._recorded: dict[str, Output] = {}

    def bring(self, paths: Sequence[str]) -> frozenset[str]:
        """Put recorded artifacts into the clone, from the remotes alone; return those that no remote has.

        Raises:
            StoreError: a remote does not answer. DiskFull.
        """
        from mlbutler.remotes.imports import bring_imports
        from mlbutler.remotes.opening import open_cache
        from mlbutler.store.engine import bring
        from mlbutler.store.send import worst

        project = self._scratch.project
        needs = tuple(project.planning.needs_of(paths))
        if not needs:
            return frozenset()
        remotes, cache = open_stores(self._context).remotes, open_cache(project)
        known = [need.size for need in needs]
        total = sum(size for size in known if size is not None) if None not in known else None
        with self._context.console.progress("objects", total_bytes=total) as progress:
            brought = bring(needs, cache, self._brought, remotes, self._options(progress))
        absent = brought.incomplete
        error = worst(brought.errors)
        if error is not None:
            raise error
        absent -= bring_imports(project, [need for need in needs if need.imported and need.path in absent])
        if absent and (gone := remotes.missing_directory_error({need.remote for need in needs})) is not None:
            raise gone
        project.checkout.lay_out([path for path in paths if path not in absent], None, cache.verified)
        return frozenset(absent)

    def run(self, stage: Stage) -> tuple[StageRun, str]:
        """Run the stage, without any run cache; return what became of it, and why it failed, '' when it did not.

        Raises:
            Interrupted: a signal asked mlbutler to stop. BusyError, ProjectError, OutsideError.
        """
        context, scratch = self._context, self._scratch
        self._recorded = {out.path: out for out in stage.outputs}
        # What DVC remembers of hashes in the usual place, other code could have written.
        site = scratch.project.cache_dir / "site"
        plan = StagePlan(name=stage.name, state=StageState.STALE, command=stage.command,
                         causes=(Cause(kind="always", subject=stage.name, detail="to verify it"),))  # fmt: skip
        with isolate_code(scratch) as here:
            surroundings = Surroundings(
                root=scratch.root,
                git=scratch.git,
                environ={**given_environment(context).environ, "DVC_SITE_CACHE_DIR": str(site)},
                redactor=output_redactor(context.environ),
                heading=lambda title: None,
                on_line=lambda line: context.console.raw(line + "\n"),
                runs=BuildRuns(None).worker_view,
                force=True,
                isolation=here.prefix,
                visible=here.visible,
                timeout=scratch.settings.reproduce.timeout,
            )
            done = Runner([plan], surroundings).run()
        if done.interrupted:
            raise Interrupted(f"Interrupted in stage '{stage.name}'.", "Run it again.")
        return done.runs[stage.name], "; ".join(done.problems)

    def compare_outputs(self, stage: Stage, run: StageRun) -> StageRunOutputs:
        """Compare every output with its record.

        Raises:
            StoreError: a remote does not answer when it is asked for the recorded output.
        """
        self._scratch.project.reload()
        again = next(one for one in self._scratch.project.stages.pipeline() if one.name == stage.name)
        made = StageRunOutputs(seconds=round(run.duration, 3))
        for output in again.outputs:
            made.hashes[output.path] = output.recorded.value if output.recorded is not None else ""
            made.found.append(self._output(output, made))
        return made

    def _output(self, output: Output, made: StageRunOutputs) -> OutputVerified:
        before = self._recorded[output.path].recorded
        old, new = before.value if before is not None else "", made.hashes[output.path]
        if old == new:
            sha256 = sha256_of(self._scratch.root / output.path, old) if self._request.digests else ""
            return OutputVerified(path=output.path, same=True, recorded=old, made=new, sha256=sha256)
        if old.endswith(".dir") or new.endswith(".dir"):
            difference = self._directory(output)
            return OutputVerified(path=output.path, same=False, recorded=old, made=new, difference=difference)
        contents = self._contents(output)
        if contents is None:
            sizes = " and ".join(f"{out.recorded.size:,} bytes" for out in (self._recorded[output.path], output)
                                 if out.recorded is not None and out.recorded.size is not None)  # fmt: skip
            said = f"recorded {old[:10]}, made {new[:10]}{f' ({sizes})' if sizes else ''}"
            return OutputVerified(path=output.path, same=False, recorded=old, made=new, difference=said)
        made.contents[output.path] = contents
        if (
            output.kind == "metric"
            and (metrics := of_metrics(output.path, *contents, self._request.tolerance)) is not None
        ):
            made.largest = max(made.largest, metrics.largest if metrics.same else 0.0)
            first: FirstDifference | None = metrics.first
            same = metrics.same
        else:
            first, same = of_bytes(*contents), False
        return OutputVerified(
            path=output.path, same=same, recorded=old, made=new, difference=str(first) if first is not None else ""
        )

    def _contents(self, output: Output) -> tuple[bytes, bytes] | None:
        """Return what is recorded of a file and what was made; None where one is too large or cannot be had."""
        new = _read_file(self._scratch.root / output.path)
        if new is None:
            return None
        if not output.cached:
            old = self._context.git.show(self._request.revision, f"{self._context.prefix}{output.path}")
        else:
            recorded = self._recorded[output.path].recorded
            old = None if recorded is None or recorded.oid is None else self._object(recorded.oid, recorded.size)
        return None if old is None else (old, new)

    def _object(self, oid: ObjectId, size: int | None, path: str = "") -> bytes | None:
        from mlbutler.remotes.opening import open_cache
        from mlbutler.store.engine import bring
        from mlbutler.store.interface import Need

        if size is not None and size > _LARGEST:
            return None
        cache = open_cache(self._scratch.project)
        # A manifest alone, without its files: these come one by one.
        wanted: Need | ObjectId = oid if oid.is_directory else Need(path or oid.md5, oid, (), size, checkout=False)
        brought = bring([wanted], cache, self._brought, open_stores(self._context).remotes, self._options())
        return None if brought.missing or brought.errors else _read_file(cache.path(oid))

    def _options(self, progress: Progress | None = None) -> BringOptions:
        from mlbutler.store.engine import BringOptions

        trusted = self._context.trusted
        return BringOptions(jobs=self._context.settings.data.jobs, trusted=trusted, fill=trusted, progress=progress)

    def _directory(self, output: Output) -> str:
        """Return the first file of a directory that differs, and where; the hashes where that cannot be seen."""
        listed: list[Mapping[str, str]] = []
        for one in (self._recorded[output.path], output):
            found = self._listing(one)
            if found is None:
                values = [
                    o.recorded.value[:10] if o.recorded else "none" for o in (self._recorded[output.path], output)
                ]
                return f"recorded {values[0]}, made {values[1]}"
            listed.append(found)
        first = of_files(listed[0], listed[1])
        if first is None:
            return "the same files"
        if first.where not in listed[0] or first.where not in listed[1]:
            return f"{first.where} is {'not recorded' if first.where not in listed[0] else 'not made'}"
        contents = self._file_in(output, first)
        inside = of_bytes(*contents) if contents is not None else None
        return f"{first.where}, {inside}" if inside is not None else str(first)

    def _listing(self, output: Output) -> Mapping[str, str] | None:
        from mlbutler.store.manifest import parse_manifest

        oid = output.recorded.oid if output.recorded is not None else None
        if oid is None or not output.cached:
            return None
        if not oid.is_directory:
            return {"": oid.md5}
        content = self._object(oid, None)
        return None if content is None else parse_manifest(content, oid)

    def _file_in(self, output: Output, first: FirstDifference) -> tuple[bytes, bytes] | None:
        from mlbutler.store.interface import ObjectId

        new = _read_file(self._scratch.root / output.path / first.where)
        old = self._object(ObjectId(first.recorded), None, f"{output.path}/{first.where}")
        return None if old is None or new is None else (old, new)


def _read_file(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= _LARGEST else None
    except OSError:
        return None
