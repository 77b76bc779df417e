"""The report as JUnit XML, so that every CI server shows steps, gates, checks, stages and failing tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from xml.etree import ElementTree

from mlbutler.escape import xml
from mlbutler.frozen import frozen
from mlbutler.record import Outcome, Record
from mlbutler.report.build import title
from mlbutler.report.headline import judged_steps, outcome

_TEXT_LIMIT = 20_000


@frozen
class Case:
    """One test case. `state` is '', ``failure``, ``error`` or ``skipped``; `text` says more."""

    name: str
    state: str = ""
    message: str = ""
    text: str = ""
    seconds: float = 0.0


def render(record: Record) -> str:
    """Return one test suite each for steps, gates, checks, stages, and the project's failing tests."""
    name = title(record)
    suites = (
        (f"{name}.steps", _steps(record)),
        (f"{name}.gates", _gates(record)),
        (f"{name}.checks", _checks(record)),
        (f"{name}.stages", _stages(record)),
        (f"{name}.tests", _tests(record)),
    )
    root = ElementTree.Element("testsuites", {"name": xml(name)})
    everything: list[Case] = []
    interrupted = outcome(record) is Outcome.INTERRUPTED
    for suite, cases in suites:
        listed = [_mark_skipped(case) for case in cases] if interrupted else list(cases)
        if listed:
            root.append(_suite(suite, listed))
            everything += listed
    _count(root, everything)
    root.set("time", f"{sum(case.seconds for case in _steps(record)):.3f}")  # stages run within a step
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _mark_skipped(case: Case) -> Case:
    """Return a case of an interrupted run: it fails no build."""
    return replace(case, state="skipped") if case.state else case


def _suite(name: str, cases: list[Case]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", {"name": xml(name)})
    _count(suite, cases)
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", {"classname": xml(name), "name": xml(case.name), "time": f"{case.seconds:.3f}"}
        )
        text = xml(case.text)[-_TEXT_LIMIT:]
        if case.state:
            ElementTree.SubElement(element, case.state, {"message": xml(case.message)[:_TEXT_LIMIT]}).text = text
        elif case.message:
            ElementTree.SubElement(element, "system-out").text = "\n".join(filter(None, (xml(case.message), text)))
    return suite


def _count(element: ElementTree.Element, cases: list[Case]) -> None:
    for attribute, state in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.state == state for case in cases)))
    element.set("tests", str(len(cases)))
    element.set("time", f"{sum(case.seconds for case in cases):.3f}")


def _steps(record: Record) -> Iterable[Case]:
    states = {
        Outcome.FAILED: "failure",
        Outcome.ERROR: "error",
        Outcome.NOT_KNOWN: "error",
        Outcome.INTERRUPTED: "skipped",
        Outcome.SKIPPED: "skipped",
    }
    for name, result in judged_steps(record):
        yield Case(name, states.get(result.outcome, ""), result.reason, result.remedy, result.duration)


def _gates(record: Record) -> Iterable[Case]:
    states = {"failed": "failure", "not judged": "skipped", "waived": "skipped", "inconclusive": "skipped"}
    for gate in record.compare.gates if record.compare else ():
        said = f"warning: {gate.sentence}" if gate.outcome == "warned" else gate.sentence
        said = f"waived {gate.waiver}: {said}" if gate.waiver else said
        yield Case(f"{gate.metric}: {gate.rule}", states.get(gate.outcome, ""), said)


def _checks(record: Record) -> Iterable[Case]:
    if record.check is None:
        return
    for state, findings in (("failure", record.check.findings), ("error", record.check.undetermined)):
        for finding in findings:
            yield Case(f"{finding.check}: {finding.subject}", state, finding.problem, finding.remedy)


def _stages(record: Record) -> Iterable[Case]:
    states = {"failed": "failure", "interrupted": "skipped", "not reached": "skipped"}
    for stage in record.reproduce.stages if record.reproduce else ():
        said = f"{stage.outcome}{f': {stage.cause}' if stage.cause else ''}"
        yield Case(stage.name, states.get(stage.outcome, ""), said, "\n".join(stage.tail), stage.duration)


def _tests(record: Record) -> Iterable[Case]:
    for case in record.test.failed_cases if record.test else ():
        yield Case(f"{case.suite}: {case.name}" if case.suite else case.name, "failure", case.message)
