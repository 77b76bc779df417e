"""Tell the story of the demo on screen; each chapter ends with what must be true then."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbutler.console import Console, human_bytes, human_seconds
from mlbutler.demo.agent import DemoPullRequest, FinishedBuild, build, open_pull_request
from mlbutler.demo.world import StoryBroken, World, change_params, create, create_project
from mlbutler.record import Change, Outcome, Record, Verdict

_BETTER = {"hidden": ("12", "64"), "epochs": ("8", "30")}
_WORSE = {"epochs": ("8", "4")}
_SWEEP = ("-n", "size", "-S", "train.hidden=16,32", "-S", "train.epochs=4,8", "-j", "2")


@dataclass(frozen=True)
class BuildSummary:
    """One build of the story, in numbers; `downloaded` and `uploaded` are bytes."""

    name: str
    exit_code: int
    seconds: float
    verdict: str
    sentence: str
    stages_run: tuple[str, ...]
    downloaded: int
    uploaded: int
    workspace: Path
    record: Path
    report: Path
    comment: Path


@dataclass(frozen=True)
class Outcomes:
    """Where everything of the finished demo lies, and how its builds ended. All paths are absolute.

    `change`, `report`, `comment`, `record`, `result_commit` and `verdict` belong to the first build of pull request 1;
    `experiments` are the names of DVC's, `board` the page of all of them and of the commits.
    """

    project: Path
    repository: Path
    remote: Path
    mirror: Path
    forge: Path
    change: Change
    report: Path
    comment: Path
    record: Path
    result_commit: str
    verdict: str
    seconds: float
    outcomes: tuple[BuildSummary, ...]
    experiments: tuple[str, ...]
    board: Path


def tell(directory: Path, console: Console) -> Outcomes:
    """Make the world in the empty (or new) folder `directory` and tell the story in it.

    Raises:
        StoryBroken: something did not happen as told; the world is left for inspection.
    """
    started = time.monotonic()
    world = create(directory.resolve())
    _main(world, console)
    better = _propose(world, console)
    first = _first_build(world, better, console)
    commit = _read_the_answer(world, better, first, console)
    second = _second_build(world, better, commit, console)
    _take_the_results(world, better, commit, console)
    bad = _bad_change(world, console)
    sweep = _sweep(world, console)
    board = _board(world, console)
    told = (
        _summarise("pull request 1", world, first),
        _summarise("pull request 1, its results commit", world, second),
        _summarise("pull request 2", world, bad),
    )
    outcome = Outcomes(
        project=world.project, repository=world.repository, remote=world.remote, mirror=world.mirror,
        forge=world.forge, change=first.record.change, report=told[0].report, comment=told[0].comment,
        record=told[0].record, result_commit=commit, verdict=told[0].verdict,
        seconds=round(time.monotonic() - started, 1), outcomes=told, experiments=sweep,
        board=board,
    )  # fmt: skip
    _sum_up(outcome, console)
    return outcome


# ------------------------------------------------------------------------------------------ chapters


def _main(world: World, console: Console) -> None:
    console.heading("1. main: Ada trains a model on pictures and pushes code and data")
    pictures = create_project(world, console)
    _expect((world.project / "metrics.json").is_file(), "main has no metrics.json", world)
    console.line(
        f"{pictures} pictures, {human_bytes(_size(world.remote))} on the DVC remote. main: {_metrics(world.project)}"
    )


def _propose(world: World, console: Console) -> DemoPullRequest:
    console.heading("2. pull request 1: a larger network, trained for longer")
    change_params(world, "larger-network", "Try a larger network", _BETTER)
    for name, (old, new) in _BETTER.items():
        console.line(f"  params.yaml: train.{name}: {old} → {new}")
    console.line("Ada pushes the branch and trains nothing: dvc.lock is stale, and that is fine.")
    return open_pull_request(world, 1, "A larger network", "larger-network")


def _first_build(world: World, pull_request: DemoPullRequest, console: Console) -> FinishedBuild:
    console.heading("3. CI builds it: a fresh clone without any data, a detached HEAD, no git identity")
    done = build(world, pull_request, 1, console)
    record = done.record
    _expect_exit(done, 0, "build 1 of pull request 1")
    _expect(_ran(record) == ("train", "evaluate"), f"it ran {_ran(record) or 'nothing'}", world)
    _expect(record.compare is not None and record.compare.verdict is Verdict.BETTER,
            f"the verdict is '{_verdict(record)}', not 'better'", world)  # fmt: skip
    _expect(0 < done.downloaded < _size(world.remote), f"it downloaded {done.downloaded} bytes", world)
    _expect(not any((done.workspace / "data" / "digits").glob("*/*.png")), "it brought pictures nobody needs", world)
    console.line(
        f"\n{human_seconds(done.seconds)}: ran {' and '.join(_ran(record))}, brought {human_bytes(done.downloaded)} of "
        f"{human_bytes(_size(world.remote))}: no stage that had to run reads the pictures, so they stayed away."
    )
    return done


def _read_the_answer(world: World, pull_request: DemoPullRequest, first: FinishedBuild, console: Console) -> str:
    console.heading("4. what the reviewers find")
    record, git = first.record, world.git(world.repository)
    head = git.resolve(pull_request.branch)
    _expect(record.commit is not None and record.commit.commit == head != record.change.head,
            "there is no results commit on the branch", world)  # fmt: skip
    assert head is not None
    _expect(git.parents(head) == (record.change.head,), "the results are not on top of Ada's commit", world)
    trailers = git.trailers(head)
    _expect(trailers.get("Mlbutler-Reproduced") == record.change.head, f"its trailers are {trailers}", world)
    changed = git.changed_paths(record.change.head, head)
    expected = {"dvc.lock", "metrics.json", "plots/confusion.csv", "plots/training.csv"}
    _expect(set(changed) == expected, f"the results commit changes {', '.join(changed)}", world)
    told = _summarise("", world, first)
    comment = _read_expected(told.comment, "the comment", world)
    for text in ("accuracy", "Better", "right → wrong"):
        _expect(text.casefold() in comment.casefold(), f"the comment does not say '{text}'", world)
    _expect(told.report.is_file(), f"there is no report at {told.report}", world)
    console.line(f"The results commit on '{pull_request.branch}':\n")
    log = git.run("log", "-1", "--stat", "--format=commit %h%nAuthor: %an%n%n%B", head).text
    console.line("\n".join(f"    {line}".rstrip() for line in log.splitlines()))
    console.line("\nThe comment on pull request 1 begins:\n")
    shown = [line for line in comment.splitlines() if line.strip() and not line.startswith("<!--")]
    console.line("\n".join(f"    {line}" for line in shown[:8]))
    console.line(f"\nThe report, with curve, confusion matrix and flipped examples: {told.report}")
    return head


def _second_build(world: World, pull_request: DemoPullRequest, commit: str, console: Console) -> FinishedBuild:
    console.heading("5. the results commit is a new head, so CI builds once more")
    done = build(world, pull_request, 2, console)
    _expect_exit(done, 0, "build 2 of pull request 1")
    _expect(done.record.change.head == commit, "it built another commit", world)
    _expect(_ran(done.record) == (), f"it ran {', '.join(_ran(done.record))} again", world)
    _expect(done.downloaded == 0, f"it downloaded {done.downloaded} bytes", world)
    _expect(done.uploaded == 0, f"it uploaded {done.uploaded} bytes", world)
    now = world.git(world.repository).resolve(pull_request.branch)
    _expect(now == commit, "it committed again: builds would go on forever", world)
    _expect(_verdict(done.record) == Verdict.BETTER, f"the verdict became '{_verdict(done.record)}'", world)
    comment = _comment(world, done.record)
    _expect(len(list(comment.parent.iterdir())) == 1, "there is a second comment", world)
    _expect(commit[:7] in _read_expected(comment, "the comment", world), "the comment still names the old head", world)
    _expect(_state(done.record) == "success", f"the status is '{_state(done.record)}'", world)
    console.line(f"\n{human_seconds(done.seconds)}: nothing stale; it ran, brought and committed nothing.")
    return done


def _take_the_results(world: World, pull_request: DemoPullRequest, commit: str, console: Console) -> None:
    console.heading("6. Ada takes the results: git pull, dvc pull")
    git = world.git(world.project)
    git.run("pull", "--quiet", "--rebase", "origin", pull_request.branch)
    _expect(git.head() == commit, "her branch is not at the results commit", world)
    world.dvc("pull", "--quiet", console=console)
    said = world.dvc("status", console=console)
    _expect("up to date" in " ".join(said), "DVC does not find the model of CI in place", world)
    console.line(f"The model is on her machine, untrained by it: {_metrics(world.project)}")


def _bad_change(world: World, console: Console) -> FinishedBuild:
    console.heading("7. pull request 2: half the epochs, to save time")
    change_params(world, "fewer-epochs", "Train half as long", _WORSE)
    pull_request = open_pull_request(world, 2, "Half the epochs", "fewer-epochs")
    done = build(world, pull_request, 1, console)
    _expect_exit(done, 1, "build 1 of pull request 2")
    compare = done.record.compare
    _expect(compare is not None and compare.outcome is Outcome.FAILED, "the comparison let it pass", world)
    assert compare is not None
    failed = [gate for gate in compare.gates if gate.outcome == "failed"]
    _expect(bool(failed), "no gate stopped it", world)
    _expect(_state(done.record) == "failure", f"the status is '{_state(done.record)}'", world)
    comment = _read_expected(_comment(world, done.record), "the comment", world)
    _expect("accuracy" in comment and "worse" in comment.casefold(), "the comment does not say why", world)
    console.line(f"\nStopped with exit code {done.exit_code}:")
    for gate in failed:
        console.line(f"  {gate.sentence}")
    return done


def _sweep(world: World, console: Console) -> tuple[str, ...]:
    console.heading("8. Ada tries four networks at once; her work tree stays as it is")
    git = world.git(world.project)
    before = git.dirty(untracked=True), git.head()
    for arguments in (("train", *_SWEEP), ("train", "wait", "size"), ("train", "compare", "size")):
        console.line(f"  $ mlbutler {' '.join(arguments)}")
        run = world.begin if arguments[1:] == _SWEEP else world.mlbutler
        code = run(*arguments, console=console)
        _expect(code == 0, f"mlbutler {' '.join(arguments[:2])} ended with exit code {code}", world)
    names = tuple(sorted(git.run("for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps").text.split()))
    _expect(names == ("size-1", "size-2", "size-3", "size-4"), f"DVC's experiments are {names}", world)
    _expect((git.dirty(untracked=True), git.head()) == before, "her work tree is another one", world)
    console.line("Each is a DVC experiment: `dvc exp show` lists them, `mlbutler train fetch` brings one home.")
    return names


def _board(world: World, console: Console) -> Path:
    console.heading("9. everything that was tried, on one page")
    page = world.directory / "board.html"
    console.line(f"  $ mlbutler board -o {page}")
    code = world.mlbutler("board", "-o", str(page), console=console)
    _expect(code == 0 and page.is_file(), f"mlbutler board ended with exit code {code}", world)
    return page


def _sum_up(outcome: Outcomes, console: Console) -> None:
    console.heading("the end")
    for told in outcome.outcomes:
        console.line(
            f"  {told.name:<34} exit {told.exit_code}, {told.verdict}, {human_seconds(told.seconds)}, "
            f"brought {human_bytes(told.downloaded)}, ran {', '.join(told.stages_run) or 'nothing'}"
        )
    console.line()
    for name in ("project", "repository", "remote", "mirror", "report", "comment", "record", "board"):
        console.line(f"  {name:<12} {getattr(outcome, name)}")
    console.line(f"  {'results':<12} commit {outcome.result_commit[:10]} on larger-network")
    console.line(f"  {'experiments':<12} {', '.join(outcome.experiments)}")
    console.line(f"\nAll of it took {human_seconds(outcome.seconds)}.")


# --------------------------------------------------------------------------------- what builds left


def _summarise(name: str, world: World, done: FinishedBuild) -> BuildSummary:
    compare = done.record.compare
    return BuildSummary(
        name=name, exit_code=done.exit_code, seconds=round(done.seconds, 2), verdict=_verdict(done.record),
        sentence=compare.sentence if compare else "", stages_run=_ran(done.record), downloaded=done.downloaded,
        uploaded=done.uploaded, workspace=done.workspace, record=done.workspace / ".mlbutler" / "record.json",
        report=_report(world, done), comment=_comment(world, done.record),
    )  # fmt: skip


def _ran(record: Record) -> tuple[str, ...]:
    stages = record.reproduce.stages if record.reproduce else ()
    return tuple(stage.name for stage in stages if stage.outcome == "ran")


def _verdict(record: Record) -> str:
    return str(record.compare.verdict) if record.compare else str(Verdict.NOT_JUDGED)


def _report(world: World, done: FinishedBuild) -> Path:
    files = dict(done.record.report.files) if done.record.report else {}
    _expect("html" in files, "there is no HTML report", world)
    return done.workspace / files["html"]


def _comment(world: World, record: Record) -> Path:
    place = record.publish.comment if record.publish else ""
    _expect(bool(place), "no comment was published", world)
    return world.forge / place


def _state(record: Record) -> str:
    file = Path(record.publish.status) if record.publish and record.publish.status else None
    return str(json.loads(file.read_text(encoding="utf-8"))["state"]) if file else "not set"


def _metrics(folder: Path) -> str:
    values: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _read_expected(path: Path, what: str, world: World) -> str:
    _expect(path.is_file(), f"{what} is missing: {path}", world)
    return path.read_text(encoding="utf-8")


def _expect_exit(done: FinishedBuild, code: int, name: str) -> None:
    if done.exit_code != code:
        raise StoryBroken(
            f"{name} ended with exit code {done.exit_code} instead of {code}.",
            f"See its output above and {done.workspace}.",
        )


def _expect(true: bool, otherwise: str, world: World) -> None:
    if not true:
        raise StoryBroken(f"The demo did not go as planned: {otherwise}.", f"Look into {world.directory}.")
