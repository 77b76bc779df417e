"""Results on a real MLflow server: one run each, whatever breaks."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mlbutler.errors import AccessDenied, OutsideError, UsageError
from mlbutler.trackers.mlflow_server import MlflowServer, log, query_logged_runs
from mlbutler.trackers.result import Result, unique_names
from tests.trackers.mlflow_server import PASSWORD, USER, Tracker

COMMIT = "c0ffee" * 6 + "abcd"
RESULT = Result(
    id=COMMIT, name="better c0ffee", commit="a" * 40, branch="better", repository="https://forge.example/team/digits",
    source="https://jenkins.example/job/x/1/", params={"train.rate": 0.05, "seed": 1},
    metrics={"accuracy": 0.95, "loss@1": 0.25}, links=(("build", "https://jenkins.example/job/x/1/"),),
)  # fmt: skip


def server(tracker: Tracker, password: str = PASSWORD) -> MlflowServer:
    return MlflowServer(tracker.url, USER, password)


def test_a_result_is_one_run_with_its_numbers_and_where_it_is_from(tracker: Tracker) -> None:
    page = log(server(tracker), "one", RESULT)
    again = log(server(tracker), "one", RESULT)
    (run,) = tracker.runs("one")
    assert page == again == f"{tracker.url}/#/experiments/{run['experiment_id']}/runs/{run['run_id']}"
    assert (run["run_name"], run["status"]) == ("better c0ffee", "FINISHED")
    assert run["params"] == {"train.rate": "0.05", "seed": "1"}
    assert run["metrics"] == {"accuracy": 0.95, "loss_1": 0.25}
    told = {name: run["tags"].get(f"mlflow.{name}") for name in ("source.git.commit", "source.name", "note.content")}
    assert told == {
        "source.git.commit": "a" * 40, "source.name": "https://jenkins.example/job/x/1/",
        "note.content": "[build](https://jenkins.example/job/x/1/)",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["experiments/create", "runs/create", "runs/log-batch", "runs/update", "runs/search"])
def test_what_was_done_and_not_answered_is_not_done_twice(tracker: Tracker, path: str) -> None:
    name = f"cut at {path}"
    tracker.fail_after(path)
    log(server(tracker), name, RESULT, pause=0)
    (run,) = tracker.runs(name)
    assert (run["status"], run["metrics"]["accuracy"], run["params"]["seed"]) == ("FINISHED", 0.95, "1")


def test_of_builds_at_the_same_time_one_run_stays(tracker: Tracker) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: log(server(tracker), "together", RESULT, pause=0.01), range(4)))
    assert log(server(tracker), "together", RESULT)
    assert len(tracker.runs("together")) == 1


def test_refused_credentials_are_said_once_and_not_shown(tracker: Tracker) -> None:
    before = len(tracker.requested_paths())
    with pytest.raises(AccessDenied) as caught:
        log(server(tracker, "wrong-password-123"), "one", RESULT)
    assert "refused the credentials" in caught.value.message
    assert "wrong-password-123" not in caught.value.message + caught.value.remedy
    assert "DAGSHUB_USER_TOKEN" in caught.value.remedy
    assert len(tracker.requested_paths()) == before + 1


def test_an_id_that_is_no_commit_asks_the_server_nothing(tracker: Tracker) -> None:
    before = len(tracker.requested_paths())
    with pytest.raises(UsageError, match="does not name a commit"):
        log(server(tracker), "one", replace(RESULT, id="x' or attributes.status = 'FINISHED"))
    assert len(tracker.requested_paths()) == before


def test_a_server_that_is_away_is_an_error_with_a_remedy() -> None:
    with pytest.raises(OutsideError) as caught:
        log(MlflowServer("http://127.0.0.1:9/x.mlflow", USER, PASSWORD), "one", RESULT, pause=0)
    assert caught.value.exit_code == 3
    assert "mlbutler publish" in caught.value.remedy
    assert PASSWORD not in caught.value.message


def test_the_environment_is_as_before_and_holds_no_credential(tracker: Tracker) -> None:
    before = dict(os.environ)
    log(server(tracker), "one", RESULT)
    assert dict(os.environ) == before


@pytest.mark.parametrize(("url", "environ", "expected"), [
    ("https://dagshub.com/a/b.mlflow", {"DAGSHUB_USER_TOKEN": "t"}, ("t", "t", "")),
    ("https://hub.example/a/b.mlflow", {"DAGSHUB_USER_TOKEN": "t"}, ("", "", "")),
    ("https://hub.example/a/b.mlflow", {"DAGSHUB_USER_TOKEN": "t", "DAGSHUB_CLIENT_HOST": "https://hub.example"},
     ("t", "t", "")),
    ("https://dagshub.com/a/b.mlflow", {"DAGSHUB_USER_TOKEN": "t", "MLFLOW_TRACKING_TOKEN": "m"}, ("", "", "m")),
    ("https://mlflow.example", {"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"}, ("u", "p", "")),
])  # fmt: skip
def test_which_credentials_a_server_is_given(url: str, environ: dict[str, str], expected: tuple[str, ...]) -> None:
    found = MlflowServer.of(url, environ)
    assert (found.user, found.password, found.token) == expected
    assert "'t'" not in repr(found)


def test_names_tell_files_apart_where_they_have_to() -> None:
    keys = ["a.json:accuracy", "b.json:accuracy", "a.json:loss", "value.json"]
    assert unique_names(keys) == {"a.json:accuracy": "a.json/accuracy", "b.json:accuracy": "b.json/accuracy",
                           "a.json:loss": "loss", "value.json": "value.json"}  # fmt: skip


def test_what_stages_logged_of_a_commit_is_found_without_our_own(tracker: Tracker) -> None:
    log(server(tracker), "theirs", RESULT)
    (kept,) = tracker.runs("theirs")
    begun = kept["start_time"]
    for name, commit, tags in (
        ("a stage's", "a" * 40, {}), ("another commit's", "b" * 40, {}),
        ("a trial", "a" * 40, {"mlflow.parentRunId": "x"}),
    ):  # fmt: skip
        told = [{"key": key, "value": value} for key, value in {"mlflow.source.git.commit": commit, **tags}.items()]
        run = tracker.ask(
            "runs/create", experiment_id=kept["experiment_id"], start_time=begun, run_name=name, tags=told
        )
        id = run["run"]["info"]["run_id"]
        tracker.ask("runs/log-metric", run_id=id, key="accuracy", value=0.5, timestamp=begun, step=1)
    (found,) = query_logged_runs(server(tracker), "a" * 40, begun / 1000 - 1)
    assert (found.run.name, found.metrics) == ("a stage's", {"accuracy": 0.5})
    assert found.run.url.startswith(f"{tracker.url}/#/experiments/")
    assert query_logged_runs(server(tracker), "a" * 40, begun / 1000 + 60) == []
