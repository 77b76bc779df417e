from __future__ import annotations

import dataclasses

from defusedxml import ElementTree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler import record as r
from mlbutler.record import Outcome, Record
from mlbutler.report import junit

from .hostile import hostile_text, poison_record


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_it_parses_whatever_the_record_holds(record: Record, data: st.DataObject) -> None:
    pool = data.draw(st.lists(hostile_text, min_size=5, max_size=5))
    turn = iter(range(10**6))
    text = junit.render(poison_record(record, lambda: pool[next(turn) % len(pool)], words=True))
    root = ElementTree.fromstring(text.encode("utf-8"))
    assert len(root.findall(".//testcase")) == int(root.get("tests", ""))


def test_gates_checks_steps_and_stages_are_cases(record: Record) -> None:
    root = ElementTree.fromstring(junit.render(record).encode())
    states = {
        (case.get("classname"), case.get("name")): next(
            (child.tag for child in case if child.tag != "system-out"), "passed"
        )
        for case in root.iter("testcase")
    }
    assert states["mlbutler.gates", "metrics.json:test.accuracy: max drop 0.01"] == "failure"
    assert states["mlbutler.gates", "latency_ms: max 10"] == "passed"  # it only warns
    assert states["mlbutler.gates", "metrics.json:recall: min 0.8"] == "skipped"
    assert states["mlbutler.checks", "pushed: data/raw set.csv"] == "failure"
    assert states["mlbutler.steps", "lint"] == "skipped"
    assert states["mlbutler.stages", "train"] == "passed"


def test_counts_agree_with_the_cases(record: Record) -> None:
    root = ElementTree.fromstring(junit.render(record).encode())
    for element in (root, *root.findall("testsuite")):
        assert int(element.get("tests", "")) == len(list(element.iter("testcase")))
        assert int(element.get("failures", "")) == len(list(element.iter("failure")))
        assert int(element.get("skipped", "")) == len(list(element.iter("skipped")))


def test_failing_tests_of_the_project_keep_their_names_and_messages(record: Record) -> None:
    case = r.FailedCase(suite="tests.test_model", name="test_shape[3-4]", message="assert (3, 4) == (4, 3)\x00")
    result = r.TestResult(outcome=Outcome.FAILED, reason="1 failed", failed_cases=(case,))
    root = ElementTree.fromstring(junit.render(dataclasses.replace(record, test=result)).encode())
    failed = root.find("testsuite[@name='mlbutler.tests']/testcase")
    assert failed is not None
    assert failed.get("name") == "tests.test_model: test_shape[3-4]"
    assert [child.get("message") for child in failed] == ["assert (3, 4) == (4, 3)\ufffd"]


def test_an_interrupted_run_fails_no_case(record: Record) -> None:
    assert record.push is not None
    stopped = dataclasses.replace(record, push=dataclasses.replace(record.push, outcome=Outcome.INTERRUPTED))
    root = ElementTree.fromstring(junit.render(stopped).encode())
    assert (root.get("failures"), root.get("errors")) == ("0", "0")
    assert ElementTree.fromstring(junit.render(record).encode()).get("failures") != "0"
