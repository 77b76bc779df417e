"""The report beside a status: GitHub's check runs and Bitbucket's Code Insights."""

from __future__ import annotations

from typing import Any

import pytest

from mlbutler.forge.hosted import Hosted
from mlbutler.forge.interface import CommitStatus, StatusDetails
from mlbutler.report.annotations import Annotation
from tests.forge.conftest import Meeting, change
from tests.forge.dialects import GitHub
from tests.forge.fake import HEAD, Answer, FakeForge, Fault, Seen
from tests.forge.more_dialects import BitbucketCloud, BitbucketServer

REMARKS = tuple(
    Annotation(f"src/a{number}.py", number, "failure", "lint", "lint: ruff", f"F{number} <b>x</b> @team")
    for number in range(1, 121)
)
DETAILS = StatusDetails("**Worse**: accuracy", REMARKS, (("accuracy", "0.92 → 0.89 (−0.03)"),))
URL = "https://ci.example.org/1"


class App(GitHub):
    """GitHub with an app's token."""

    app = True


class CloudWithInsights(BitbucketCloud):
    """Code Insights as Atlassian documents it; the published description leaves it out."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: dict[str, dict[str, Any]] = {}

    routes = (  # type: ignore[assignment]
        ("DELETE", r"/repositories/team/digits/commit/(\w{40})/reports/([\w%-]+)", "delete_report"),
        ("PUT", r"/repositories/team/digits/commit/(\w{40})/reports/([\w%-]+)", "put_report"),
        ("POST", r"/repositories/team/digits/commit/(\w{40})/reports/([\w%-]+)/annotations", "add_annotations"),
        *BitbucketCloud.routes,
    )

    def delete_report(self, seen: Seen, query: dict[str, str], sha: str, key: str) -> Answer:
        return Answer(204) if self.reports.pop(key, None) else self.missing()

    def put_report(self, seen: Seen, query: dict[str, str], sha: str, key: str) -> Answer:
        assert seen.json["result"] in ("PASSED", "FAILED", "PENDING")
        self.reports[key] = {**seen.json, "annotations": self.reports.get(key, {}).get("annotations", [])}
        return Answer(200, seen.json)

    def add_annotations(self, seen: Seen, query: dict[str, str], sha: str, key: str) -> Answer:
        if len(seen.json) > 100:
            return Answer(400, {"error": {"message": "at most 100"}})
        self.reports[key]["annotations"] += seen.json
        return Answer(200, seen.json)


def met(dialect: Any, tmp_path: Any) -> tuple[Hosted, FakeForge]:
    server = FakeForge(dialect)
    forge = Meeting(server, tmp_path).open()
    assert isinstance(forge, Hosted)
    return forge, server


def test_a_check_run_has_the_report_and_remarks_fifty_at_a_time(tmp_path: Any) -> None:
    forge, server = met(App(), tmp_path)
    forge.status(change(), "mlbutler", CommitStatus.FAILURE, "Worse: accuracy", URL)
    forge.detail(change(), "mlbutler", CommitStatus.FAILURE, "Worse: accuracy", URL, DETAILS)
    sent = [seen.json["output"] for seen in server.requests_of("PATCH")]
    assert [len(output["annotations"]) for output in sent] == [50, 50, 20]
    assert all(output["text"] == "**Worse**: accuracy" for output in sent)
    assert sent[0]["annotations"][0] == {
        "path": "src/a1.py", "start_line": 1, "end_line": 1, "annotation_level": "failure", "title": "lint: ruff",
        "message": "F1 <b>x</b> @team",
    }  # fmt: skip
    server.dialect.checks[0]["output"]["annotations_count"] = 120  # as GitHub counts them
    forge.detail(change(), "mlbutler", CommitStatus.FAILURE, "Worse: accuracy", URL, DETAILS)
    assert "annotations" not in server.requests_of("PATCH")[-1].json["output"]  # they would stand there twice
    assert server.violations == []
    server.shutdown()
    server.server_close()


def test_a_commit_status_has_no_room(tmp_path: Any) -> None:
    forge, server = met(GitHub(), tmp_path)
    forge.status(change(), "mlbutler", CommitStatus.FAILURE, "Worse: accuracy", URL)
    forge.detail(change(), "mlbutler", CommitStatus.FAILURE, "Worse: accuracy", URL, DETAILS)
    assert server.requests_of("PATCH") == []
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("again", [False, True])
def test_code_insights_has_a_report_with_fields_and_remarks(tmp_path: Any, again: bool) -> None:
    dialect = CloudWithInsights()
    forge, server = met(dialect, tmp_path)
    for _ in range(1 + again):
        forge.detail(change(), "mlbutler/gpu", CommitStatus.FAILURE, "Worse: accuracy", URL, DETAILS)
    (report,) = dialect.reports.values()
    assert (report["result"], report["title"], report["link"]) == ("FAILED", "mlbutler/gpu", URL)
    assert report["data"] == [{"title": "accuracy", "type": "TEXT", "value": "0.92 → 0.89 (−0.03)"}]
    assert len(report["annotations"]) == 120
    assert len({item["external_id"] for item in report["annotations"]}) == 120
    assert server.violations == []
    server.shutdown()
    server.server_close()


def test_data_center_has_them_in_one_request(tmp_path: Any) -> None:
    forge, server = met(BitbucketServer(), tmp_path)
    server.faults = [Fault(part="/insights/", answer=Answer(200, {}), times=9)]
    forge.detail(change(), "mlbutler", CommitStatus.ERROR, "Error: no remote", URL, DETAILS)
    put, removed, posted = server.seen
    assert put.path == f"/bitbucket/rest/insights/latest/projects/team/repos/digits/commits/{HEAD}/reports/mlbutler"
    assert "result" not in put.json  # nothing was judged
    assert (removed.method, len(posted.json["annotations"])) == ("DELETE", 120)
    server.shutdown()
    server.server_close()
