"""JUnit files of many dialects, and files that are no such thing."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mlbutler.junit_file import Counts, count

PYTEST = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">
<testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4">
<testcase classname="tests.test_a" name="test_ok" time="0.001"/>
<testcase classname="tests.test_a" name="test_bad"><failure message="assert 1 == 2">text</failure></testcase>
<testcase classname="tests.test_a" name="test_broken"><error message="failed on setup">text</error></testcase>
<testcase classname="tests.test_a" name="test_no"><skipped type="pytest.skip" message="no"/></testcase>
</testsuite></testsuites>"""


def count_reports(root: Path, *patterns: str, since: float = 0.0) -> Counts:
    return count(root, patterns or ["**/*.xml"], since)


def numbers(counts: Counts) -> tuple[int, int, int, int]:
    return counts.tests, counts.failures, counts.errors, counts.skipped


def test_the_four_outcomes_are_counted(tmp_path: Path) -> None:
    tmp_path.joinpath("junit.xml").write_text(PYTEST)
    counts = count_reports(tmp_path)
    assert numbers(counts) == (4, 1, 1, 1)
    assert [(c.suite, c.name, c.message) for c in counts.failed] == [
        ("tests.test_a", "test_bad", "assert 1 == 2"),
        ("tests.test_a", "test_broken", "failed on setup"),
    ]


def test_suites_in_suites_and_several_files_are_added_up(tmp_path: Path) -> None:
    nested = (
        '<testsuites><testsuite name="outer" tests="3"><testsuite name="inner">'
        '<testcase name="a"/><testcase name="b"><failure/><failure/></testcase></testsuite>'
        '<testcase name="c" status="notrun"/></testsuite></testsuites>'
    )
    deep = tmp_path / "build" / "some folder" / "ünï"
    deep.mkdir(parents=True)
    deep.joinpath("TEST-one.xml").write_text(nested)
    tmp_path.joinpath("two.xml").write_text('<testsuite xmlns="urn:x"><testcase name="d"/></testsuite>')
    counts = count_reports(tmp_path)
    assert (counts.files, numbers(counts)) == (2, (4, 1, 0, 1))
    assert counts.failed[0].suite == "inner"


def test_a_file_that_two_globs_name_is_counted_once(tmp_path: Path) -> None:
    tmp_path.joinpath("junit.xml").write_text(PYTEST)
    assert count_reports(tmp_path, "*.xml", "junit.xml", "**/*.xml").tests == 4


def test_an_older_file_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(PYTEST)
    now = time.time()
    os.utime(path, (now - 60, now - 60))
    counts = count_reports(tmp_path, since=now)
    assert counts.files == 0
    assert "older than this run" in counts.problems[0]
    os.utime(path, (now - 1, now - 1))
    assert count_reports(tmp_path, since=now).files == 1


def test_broken_and_hostile_files_are_named_and_not_read(tmp_path: Path) -> None:
    tmp_path.joinpath("cut.xml").write_text(PYTEST[:300])
    tmp_path.joinpath("html.xml").write_text("<html><body>testcase</body></html>")
    tmp_path.joinpath("empty.xml").write_text("")
    tmp_path.joinpath("binary.xml").write_bytes(bytes(range(256)))
    tmp_path.joinpath("encoding.xml").write_text("<?xml version='1.0' encoding='klingon'?><testsuite/>")
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>'
    tmp_path.joinpath("bomb.xml").write_text(laughs)
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&a;"/></testsuite>'
    tmp_path.joinpath("external.xml").write_text(outside)
    tmp_path.joinpath("good.xml").write_text(PYTEST)
    counts = count_reports(tmp_path)
    assert (counts.files, counts.tests) == (1, 4)
    named = {problem.split()[0] for problem in counts.problems}
    assert named == {
        "cut.xml",
        "html.xml",
        "empty.xml",
        "binary.xml",
        "encoding.xml",
        "bomb.xml",
        "external.xml",
    }


def test_messages_and_lists_are_bounded(tmp_path: Path) -> None:
    case = '<testcase name="n"><failure>' + "x" * 10_000 + "</failure></testcase>"
    tmp_path.joinpath("many.xml").write_text("<testsuite>" + case * 80 + "</testsuite>")
    counts = count_reports(tmp_path)
    assert (counts.failures, len(counts.failed)) == (80, 50)
    assert len(counts.failed[0].message) == 500


def test_nothing_outside_the_project_is_read(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    tmp_path.joinpath("junit.xml").write_text(PYTEST)
    root.joinpath("link.xml").symlink_to(tmp_path / "junit.xml")
    assert count_reports(root, "../*.xml", str(tmp_path / "junit.xml"), "*.xml").files == 0


def test_what_is_no_regular_file_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.xml")
    tmp_path.joinpath("folder.xml").mkdir()
    assert count_reports(tmp_path).files == 0
