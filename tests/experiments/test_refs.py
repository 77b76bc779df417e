"""Experiments in Git refs: each kept once, and no change of one is lost."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.errors import ProjectError
from mlbutler.experiments import fields
from mlbutler.experiments.experiment import (
    VERSION,
    Experiment,
    Search,
    StageNote,
    dump_experiment,
    experiment_id,
    parse_experiment,
)
from mlbutler.experiments.refs import PREFIX, Experiments, StoredExperiment
from mlbutler.experiments.state import State
from mlbutler.git import Done, Git
from mlbutler.live_lines import clean
from tests.conftest import GitCommand


@pytest.fixture
def repository(tmp_path: Path, git: GitCommand) -> Path:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    return tmp_path


def an_experiment(root: Path, name: str = "one", **more: object) -> Experiment:
    head = Git(root).head()
    experiment = Experiment(id="", name=name, grid=name, baseline=head, input=head, targets=(name,)).with_(**more)
    return experiment.with_(id=experiment_id(experiment.input, experiment.project, experiment.targets))


def test_the_same_point_is_kept_once_whoever_is_first(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    wanted = [an_experiment(repository, attempt=number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(experiments.create, wanted))
    assert done.count(True) == 1
    kept = experiments.read(wanted[0].id)
    assert kept is not None
    assert kept.experiment == wanted[done.index(True)]


def test_no_change_is_lost_when_many_change_one(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    one = an_experiment(repository)
    experiments.create(one)

    def count(_: int) -> None:
        experiments.change(one.id, lambda now: now.with_(attempt=now.attempt + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(12)))
    kept = experiments.read(one.id)
    assert kept is not None
    assert kept.experiment.attempt == 12


def test_who_read_an_old_state_is_refused(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    one = an_experiment(repository)
    experiments.create(one)
    old = experiments.read(one.id)
    assert old is not None
    assert experiments.replace(old, one.with_(state=State.RUNNING)) is not None
    assert experiments.replace(old, one.with_(state=State.CANCELLED)) is None
    assert not experiments.remove(old)
    now = experiments.read(one.id)
    assert now is not None
    assert now.experiment.state is State.RUNNING
    assert experiments.remove(now)
    assert experiments.all() == ()
    assert experiments.change(one.id, lambda experiment: experiment) is None


def test_what_is_known_need_not_be_read_and_is_not_believed_when_another_changed_it(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    one = an_experiment(repository)
    experiments.create(one)
    known = experiments.read(one.id)
    assert known is not None
    seen: list[State] = []

    def saving(now: Experiment) -> Experiment | None:
        seen.append(now.state)
        return None if now.state is State.RUNNING else now.with_(state=State.SAVING)

    first = experiments.change(one.id, saving, known=known)
    assert first is not None
    assert first.experiment.state is State.SAVING
    experiments.change(one.id, lambda now: now.with_(state=State.RUNNING))
    again = experiments.change(one.id, saving, known=first)
    assert again is not None
    assert (again.experiment.state, seen[-2:]) == (State.RUNNING, [State.SAVING, State.RUNNING])
    running = again
    experiments.change(one.id, lambda now: now.with_(state=State.DONE))
    last = experiments.change(one.id, saving, known=running)
    assert last is not None
    assert last.experiment.state is State.SAVING, "it was left as it was known, which it was not any more"


class CountedGit(Git):
    """Git that notes what it is asked."""

    asked: ClassVar[list[str]] = []

    def run(self, *args: str, **more: Any) -> Done:
        self.asked.append(args[0])
        return super().run(*args, **more)


def test_who_looks_again_reads_only_what_has_changed(repository: Path) -> None:
    others, git = Experiments(Git(repository)), CountedGit(repository)
    mine, wanted = Experiments(git), [an_experiment(repository, name) for name in ("a", "b")]
    assert [others.create(one) for one in wanted] == [True, True]
    first = mine.all()
    git.asked.clear()
    assert mine.all() == first
    assert mine.read(first[0].experiment.id) == first[0]
    assert git.asked == ["for-each-ref", "rev-parse"]
    others.change(wanted[1].id, lambda now: now.with_(state=State.RUNNING))
    assert {kept.experiment.name: kept.experiment.state for kept in mine.all()} == {
        "a": State.WAITING, "b": State.RUNNING
    }  # fmt: skip
    read = others.read(wanted[0].id)
    assert read is not None
    assert others.remove(read)
    assert mine.read(wanted[0].id) is None
    assert [kept.experiment.name for kept in mine.all()] == ["b"]


def test_who_keeps_a_state_knows_it_without_reading_it_again(repository: Path) -> None:
    others, git = Experiments(Git(repository)), CountedGit(repository)
    mine, one = Experiments(git), an_experiment(repository)
    git.asked.clear()
    assert mine.create(one)
    assert mine.change(one.id, lambda now: now.with_(state=State.RUNNING, reason="a\x1b[2Jb")) is not None
    assert git.asked == ["unpack-objects", "update-ref"] * 2
    read = mine.read(one.id)
    assert read is not None
    assert git.asked[4:] == ["rev-parse"]
    assert read == others.read(one.id), "without what would steer a terminal"
    unchanged = mine.change(one.id, lambda now: None)
    assert unchanged == read
    others.change(one.id, lambda now: now.with_(state=State.DONE), b"its log\n")
    done = mine.change(one.id, lambda now: now.with_(attempt=7))
    assert done is not None
    assert (done.experiment.state, done.experiment.attempt) == (State.DONE, 7)
    assert mine.log(done) == b"its log\n"


def test_a_log_stays_until_there_is_another(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    one = an_experiment(repository)
    experiments.create(one)
    first = experiments.change(one.id, lambda now: now.with_(state=State.FAILED), b"all of it\n")
    assert first is not None
    assert experiments.log(first) == b"all of it\n"
    later = experiments.change(one.id, lambda now: now.with_(reason="because"))
    assert later is not None
    assert experiments.log(later) == b"all of it\n"


def test_git_keeps_what_is_run_though_no_branch_does(repository: Path, git: GitCommand) -> None:
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    input_ = git(repository, "commit-tree", tree, "-m", "of no branch")
    Experiments(Git(repository)).create(an_experiment(repository, input=input_))
    git(repository, "gc", "-q", "--prune=now")
    assert git(repository, "cat-file", "-t", input_) == "commit"


def test_all_are_listed_in_their_order(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    for number, name in enumerate(("c", "a", "b")):
        experiments.create(an_experiment(repository, name, submitted=5.0, number=number))
    experiments.create(an_experiment(repository, "earlier", submitted=4.0))
    assert [kept.experiment.name for kept in experiments.all()] == ["earlier", "c", "a", "b"]


def test_a_state_of_another_version_is_an_error_with_a_remedy(repository: Path) -> None:
    content = dump_experiment(an_experiment(repository)).replace(f'"version": {VERSION}'.encode(), b'"version": 99')
    with pytest.raises(ProjectError, match="another version") as error:
        parse_experiment(content)
    assert PREFIX.rstrip("/") in error.value.remedy


def test_what_a_later_version_adds_is_passed_over_and_what_an_earlier_one_did_not_know_is_missing(
    repository: Path,
) -> None:
    content = json.loads(dump_experiment(an_experiment(repository)))
    del content["metrics"]
    assert parse_experiment(json.dumps(content | {"color": "red"}).encode()) == an_experiment(repository)


texts = st.text(max_size=20)


@given(
    state=st.sampled_from(State),
    overrides=st.lists(texts, max_size=3),
    reason=texts,
    stages=st.lists(st.builds(StageNote, name=texts, outcome=texts, seconds=st.floats(0, 1e6)), max_size=3),
    ended=st.none() | st.floats(0, 1e10),
)
def test_what_is_written_is_read_again(
    state: State, overrides: list[str], reason: str, stages: list[StageNote], ended: float | None
) -> None:
    experiment = Experiment(
        id=experiment_id("b" * 40, "", ()), name="n", grid="g", baseline="a" * 40, input="b" * 40, state=state,
        overrides=tuple(overrides), reason=reason, stages=tuple(stages), ended=ended,
    )  # fmt: skip
    read = parse_experiment(dump_experiment(experiment))
    assert parse_experiment(dump_experiment(read)) == read
    assert (read.state, read.ended) == (state, ended)
    shown = (read.reason, *read.overrides, *(text for stage in read.stages for text in (stage.name, stage.outcome)))
    assert shown == tuple(map(one_line, (reason, *overrides, *(x for s in stages for x in (s.name, s.outcome)))))


def one_line(text: str) -> str:
    return clean(text.replace("\n", " "))


SEARCH = {"metric": "loss", "goal": "minimize", "trials": 3, "params": ["a=1,2"], "base": "c" * 40}
HOSTILE: dict[str, tuple[object, ...]] = {
    "id": ("../../../precious", "", "A" * 40, 7),
    "name": ("../x", "a b", "-x", "x;reboot", "x^{/y}", "x.lock", "a..b", "\x1b[31mred", "", None),
    "grid": ("$(reboot)", "--all"),
    "baseline": ("HEAD", "--output=x", "../../x", ""),
    "input": ("--exec=x", "main"),
    "result": ("HEAD", "--source=x", None, 0),
    "project": ("../", "/etc/", "a/../../", "a//b/", "sub", "./", "a\0/"),
    "place": ("here", "../x", "/a/../b", "/a\0"),
    "targets": ("train", [7]),
    "overrides": ("x", [None]),
    "jobs": (0, -1, 10**9, 1.5, True, "2"),
    "number": ("1", 10**30),
    "attempt": (-1, None),
    "max_failures": (-1, "2"),
    "time_limit": (float("nan"), float("inf"), "1", True),
    "cancelled_by": (7, None),
    "cancel": (float("nan"), 10**400), "asked": ("now", float("inf")),
    "submitted": (None, float("inf")),
    "started": ("now",),
    "ended": (1e300,),
    "state": ("lost forever", [], None),
    "tail": ("text", [1]),
    "stages": ([{"name": "a"}], [{"name": "a", "outcome": "ran", "seconds": "1"}], [7], {}),
    "metrics": ([{"file": "f", "name": "n", "value": "1"}], [{"file": "f", "name": "n", "value": float("nan")}]),
    "version": (True, "1"),
    "engine": ("kubernetes", "", None), "label": ("gpu && linux", "a b", "$(reboot)", "-x", "gpu||", None),
    "gpus": (-1, 10**6, True, "1"), "retries": (-1, 1e3), "user": (7,), "agent": (None,), "resumed": (None, 7),
    "build": ("file:///etc/passwd", "https://me:secret@host/", "http://", "https://[", "x", "https://h/ x", 7),
    "host": (7,), "reason": (None,), "remedy": ([],), "proposed": ("a=1", [7]),
    "search": ({}, *(SEARCH | one for one in ({"base": "HEAD"}, {"goal": "best"}, {"trials": 0}, {"params": "a"})),
               {name: value for name, value in SEARCH.items() if name != "base"}),
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(name, value) for name, values in HOSTILE.items() for value in values])
def test_a_field_of_a_fetched_state_that_no_experiment_has_is_refused(field: str, value: object) -> None:
    stored = json.loads(dump_experiment(a_plain_one()))
    assert parse_experiment(json.dumps(stored).encode()) == a_plain_one()
    stored[field] = value
    found = stored | {"id": experiment_id(stored["input"], stored["project"], tuple(stored["targets"]))}
    with pytest.raises(ProjectError, match="cannot be read"):
        parse_experiment(json.dumps(stored if field == "id" else found).encode())


def test_a_search_of_a_fetched_state_is_read() -> None:
    found = parse_experiment(
        json.dumps(json.loads(dump_experiment(a_plain_one())) | {"search": SEARCH, "proposed": ["a=1"]}).encode()
    )
    assert (found.search, found.proposed) == (Search(**SEARCH | {"params": ("a=1,2",)}), ("a=1",))  # type: ignore[arg-type]


def a_plain_one() -> Experiment:
    commit = "b" * 40
    return Experiment(id=experiment_id(commit, "", ("train",)), name="n", grid="n", baseline="a" * 40, input=commit,
                      targets=("train",))  # fmt: skip


def test_every_field_of_a_state_is_checked() -> None:
    assert set(HOSTILE) == {one.name for one in dataclasses.fields(Experiment)}


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"null", b"\xff", b"[" * 100_000, b'{"version": 1}'])
def test_what_is_no_state_is_an_error(content: bytes) -> None:
    with pytest.raises(ProjectError, match="cannot be read"):
        parse_experiment(content)


def test_texts_of_a_fetched_state_do_not_steer_the_terminal() -> None:
    shown = "\x1b[2J\x1b]0;title\x07one\ntwo\u202e"
    read = parse_experiment(
        dump_experiment(a_plain_one().with_(reason=shown, remedy=shown, tail=(shown,), overrides=(shown,), host=shown))
    )
    assert {read.reason, read.remedy, *read.tail, *read.overrides, read.host} == {"one two"}


def test_a_log_that_was_fetched_does_not_steer_the_terminal(repository: Path) -> None:
    experiments = Experiments(Git(repository))
    one = an_experiment(repository)
    experiments.create(one)
    kept = experiments.change(one.id, lambda now: now.with_(state=State.FAILED), b"\x1b[2Jone\n\x9btwo\r\n")
    assert kept is not None
    assert experiments.log(kept) == "one\n\N{REPLACEMENT CHARACTER}two\n".encode()


def test_an_id_that_is_not_that_of_what_is_run_is_refused() -> None:
    with pytest.raises(ProjectError, match="cannot be read"):
        parse_experiment(dump_experiment(a_plain_one().with_(input="c" * 40)))


@pytest.mark.parametrize("name", ["1" * 40, "other/ref"])
def test_a_ref_with_the_state_of_another_experiment_is_refused(repository: Path, git: GitCommand, name: str) -> None:
    experiments = Experiments(Git(repository))
    one = an_experiment(repository)
    experiments.create(one)
    git(repository, "update-ref", PREFIX + name, PREFIX + one.id)
    with pytest.raises(ProjectError, match=f"{name} holds the state of another") as error:
        experiments.read(name)
    assert f"git update-ref -d {PREFIX}{name}" in error.value.remedy
    (kept,), (damaged,) = experiments.survey()
    assert kept.experiment == one
    assert (damaged.ref, damaged.remedy) == (PREFIX + name, error.value.remedy)


@given(st.text(st.sampled_from(" :#[a\n\t\x1b\x07é~"), max_size=12) | st.text(max_size=12))
def test_a_sentence_is_what_a_terminal_and_a_ci_server_take_for_text(text: str) -> None:
    assert fields.sentence(text) == one_line(text)


def test_a_state_that_would_fill_the_memory_is_not_read(repository: Path, git: GitCommand) -> None:
    experiments, one = Experiments(Git(repository)), an_experiment(repository)
    experiments.create(one)
    large = repository / "large"
    for name, content in (("state.json", dump_experiment(one) + b" " * (5 << 20)), ("log.txt", b"x" * (21 << 20))):
        large.write_bytes(content)
        blob = git(repository, "hash-object", "-w", str(large)).strip()
        tree = subprocess.run(
            ["git", "mktree"], cwd=repository, input=f"100644 blob {blob}\t{name}\n", capture_output=True, text=True,
            check=True,
        ).stdout.strip()  # fmt: skip
        commit = git(repository, "commit-tree", tree, "-p", one.input, "-m", "x").strip()
        git(repository, "update-ref", f"{PREFIX}{one.id}", commit)
        assert experiments.log(StoredExperiment(one, commit)) is None
        with pytest.raises(ProjectError, match="holds no state"):
            experiments.read(one.id)
    assert [damaged.ref for damaged in experiments.survey()[1]] == [f"{PREFIX}{one.id}"]
