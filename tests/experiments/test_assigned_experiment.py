"""One attempt writes of an experiment, also where the remote's answer to it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import GitError, Interrupted
from mlbutler.experiments.assigned_experiment import AssignedExperiment
from mlbutler.experiments.choices import JENKINS
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.state import State
from tests.conftest import GitCommand
from tests.experiments.test_shared import Remote


def test_an_end_whose_answer_was_lost_is_no_other_attempt_s(
    tmp_path: Path, git: GitCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote(tmp_path, git)
    one = remote.experiment("lr", engine=JENKINS)
    remote.laptop("laptop").keep_all([(one, None)])
    experiments = remote.agent("agent")
    assigned = AssignedExperiment(experiments, one.id, "http://jenkins.example/job/train/1/", "one")
    assert assigned.claim().reason == ""
    replace = experiments.replace

    def replace_and_break(*given: object) -> StoredExperiment | None:
        replace(*given)  # type: ignore[arg-type]
        raise GitError("The connection broke.", "Try again.")

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "replace", replace_and_break)
        with pytest.raises(GitError):
            assigned.change(1, lambda now: now.with_(state=State.DONE, ended=5.0))
    done = assigned.change(1, lambda now: now.with_(state=State.DONE, ended=6.0))
    assert (done.state, done.ended) == (State.DONE, 5.0)
    with pytest.raises(Interrupted, match="lr is done already"):
        assigned.change(1, lambda now: now.with_(state=State.FAILED))
