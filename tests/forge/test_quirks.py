"""What one forge alone does."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlbutler.errors import ForgeError, SettingsError
from mlbutler.forge.detect import locate_forge
from mlbutler.forge.http import RequestRefused
from mlbutler.forge.interface import CommitStatus, NotOffered
from mlbutler.forge.opening import NoToken, Opening
from mlbutler.forge.registry import open_forge
from mlbutler.settings import ForgeSettings
from mlbutler.steps import publish
from mlbutler.variables import FORGE_TOKEN, FORGE_USER
from tests.forge.conftest import Meeting, body, change
from tests.forge.dialects import Gitea, GitHub, GitLab
from tests.forge.fake import HEAD, SOMEBODY, TOKEN, Answer, Dialect, FakeForge, Fault, Seen, page_of
from tests.forge.more_dialects import BitbucketCloud, BitbucketServer, DagsHub, Gogs
from tests.forge.run_context import run_context

Meet = Callable[[Dialect], Meeting]


@pytest.fixture
def meet(tmp_path: Path) -> Iterator[Meet]:
    """Opens the server of one dialect."""
    servers: list[FakeForge] = []

    def make_meeting(dialect: Dialect) -> Meeting:
        servers.append(FakeForge(dialect))
        return Meeting(servers[-1], tmp_path)

    yield make_meeting
    for server in servers:
        server.shutdown()
        server.server_close()
        assert server.violations == []


class App(GitHub):
    """GitHub with an app's token, such as that of GitHub Actions."""

    app = True


def test_an_apps_token_makes_one_check_run_of_all_states(meet: Meet) -> None:
    meeting = meet(App())
    for state in (CommitStatus.PENDING, CommitStatus.FAILURE):
        meeting.open().status(change(), "mlbutler", state, "Worse: f1 0.9 -> 0.8", "https://ci.example.org/1")
    (run,) = meeting.dialect.checks
    assert (run["status"], run["conclusion"], run["head_sha"]) == ("completed", "failure", HEAD)
    assert run["output"]["title"] == "Worse: f1 0.9 -> 0.8"
    assert meeting.dialect.statuses == []


def test_a_check_run_is_not_made_twice_when_the_line_breaks(meet: Meet) -> None:
    meeting = meet(App())
    meeting.server.faults = [Fault("POST", "check-runs", cut=True)]
    meeting.open().status(change(), "mlbutler", CommitStatus.SUCCESS, "Better", "")
    assert [run["conclusion"] for run in meeting.dialect.checks] == ["success"]


def test_an_app_does_not_take_a_persons_comment_for_its_own(meet: Meet) -> None:
    meeting = meet(App())
    theirs = meeting.dialect.add("17", body(text="planted"), SOMEBODY)
    for text in ("one", "two"):
        meeting.post(text=text)
    assert "planted" in theirs.body
    assert ["two" in note.body for note in meeting.dialect.notes] == [False, True]


def test_a_personal_token_asks_for_no_check_run(meet: Meet) -> None:
    meeting = meet(GitHub())
    meeting.dialect.token_header = ("Authorization", "Bearer ghp_planted0123456789")
    environ = {"GITHUB_TOKEN": "ghp_planted0123456789"}
    forge = open_forge(Opening(place=meeting.place(), environ=environ, root=Path()))
    forge.status(change(), "mlbutler", CommitStatus.SUCCESS, "Better", "")
    assert [seen.path.rpartition("/")[0].rpartition("/")[2] for seen in meeting.server.seen] == ["statuses"]


def test_gitlab_refuses_other_transitions_aloud(meet: Meet) -> None:
    meeting = meet(GitLab())
    meeting.server.faults = [Fault("POST", answer=Answer(400, {"message": "ref is invalid"}))]
    with pytest.raises(RequestRefused, match="ref is invalid"):
        meeting.open().status(change(), "mlbutler", CommitStatus.SUCCESS, "Better", "")


def test_dagshub_without_comments_is_said_and_no_error_of_the_token(meet: Meet) -> None:
    meeting = meet(DagsHub())
    meeting.server.faults = [Fault("GET", "/comments", answer=Answer(404), times=9)]
    with pytest.raises(NotOffered, match="takes no comment"):
        meeting.post()
    meeting.server.faults = [Fault("GET", "/comments", answer=Answer(200, [])), Fault("POST", answer=Answer(405))]
    with pytest.raises(NotOffered):
        meeting.post()
    meeting.server.faults = [Fault(answer=Answer(404), times=9)]  # the repository itself
    with pytest.raises(RequestRefused):
        meeting.post()


@pytest.mark.parametrize("answer", [Answer(403, {"message": "not for you"}), Answer(200, None)])
def test_dagshub_that_shows_no_comments_leaves_the_report_with_the_build(meet: Meet, answer: Answer) -> None:
    meeting = meet(DagsHub())
    meeting.server.faults = [Fault("GET", "/comments", answer=answer, times=9)]
    with pytest.raises(NotOffered, match=r"not for you|a page for people") as caught:
        meeting.post()
    assert "artifact" in caught.value.remedy
    assert meeting.server.requests_of("POST") == []


def test_gogs_that_forbids_comments_is_an_error_of_the_token(meet: Meet) -> None:
    meeting = meet(Gogs())
    meeting.server.faults = [Fault("GET", "/comments", answer=Answer(403), times=9)]
    with pytest.raises(RequestRefused, match="403"):
        meeting.post()


class Paged:
    """A server that gives its list of comments in pages though its description says nothing of them."""

    unlisted = ("page",)

    def list_notes(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        notes, more, page = page_of([self.note(n, seen.path) for n in self.on(on)], query, 30)  # type: ignore[attr-defined]
        return Answer(200, notes, {"Link": f'<https://x.invalid/?page={page + 1}>; rel="next"'} if more else {})


@pytest.mark.parametrize("kind", [Gitea, Gogs, DagsHub])
def test_pages_that_nobody_described_are_read_all_the_same(meet: Meet, kind: type[Dialect]) -> None:
    meeting = meet(type("Server", (Paged, kind), {})())
    for number in range(70):
        meeting.dialect.add("17", f"comment {number}", SOMEBODY)
    for text in ("old", "new"):
        meeting.post(text=text)
    (note,) = meeting.ours()
    assert "new" in note.body


def test_the_text_of_a_check_run_is_inert(meet: Meet) -> None:
    meeting = meet(App())
    said = "Worse: ![x](https://evil.example/p.png) @team <img src=x> 0.9 -> 0.8"
    meeting.open().status(change(), "mlbutler", CommitStatus.FAILURE, said, "")
    (run,) = meeting.dialect.checks
    assert run["output"]["title"] == said  # plain text on GitHub
    for markup in ("![", "](", "@team", "<img", "://"):
        assert markup not in run["output"]["summary"]


def test_basic_authentication_where_a_user_is_named(meet: Meet) -> None:
    meeting = meet(BitbucketCloud())
    pair = base64.b64encode(f"ada@example.org:{TOKEN}".encode()).decode()
    meeting.dialect.token_header = ("Authorization", f"Basic {pair}")
    environ = {FORGE_TOKEN: TOKEN, FORGE_USER: "ada@example.org"}
    forge = open_forge(Opening(place=meeting.place(), environ=environ, root=Path()))
    forge.comment(change(), "mlbutler", body(), lambda head: False)
    assert len(meeting.ours()) == 1


def test_a_long_title_still_has_a_key_of_its_own_on_bitbucket(meet: Meet) -> None:
    meeting = meet(BitbucketCloud())
    for title in ("mlbutler " + "x" * 60 + "1", "mlbutler " + "x" * 60 + "2"):
        meeting.open().status(change(), title, CommitStatus.SUCCESS, "", "")
    assert len({seen.json["key"] for seen in meeting.server.requests_of("POST")}) == 2


def test_an_old_data_center_has_statuses_elsewhere(meet: Meet) -> None:
    meeting = meet(BitbucketServer())
    meeting.server.faults = [Fault("POST", "/builds", answer=Answer(404))]
    with pytest.raises(ForgeError):  # this one has neither
        meeting.open().status(change(), "mlbutler", CommitStatus.SUCCESS, "", "")
    last = meeting.server.seen[-1]
    assert last.path.endswith(f"/rest/build-status/latest/commits/{HEAD}")
    assert last.json["state"] == "SUCCESSFUL"


@pytest.mark.parametrize("token", [None, "", "  ", "not\nsendable", "ünsendable"])
def test_a_token_that_cannot_be_sent_is_named_without_it(meet: Meet, token: str | None) -> None:
    meeting = meet(GitHub())
    environ = {} if token is None else {FORGE_TOKEN: token}
    with pytest.raises(NoToken) as caught:
        open_forge(Opening(place=meeting.place(), environ=environ, root=Path()))
    assert "GITHUB_TOKEN" in caught.value.remedy
    assert not token or not token.strip() or token not in caught.value.message
    assert meeting.server.seen == []


def test_gogs_shows_pictures_in_the_text_itself(meet: Meet) -> None:
    assert meet(Gogs()).open().capabilities.pictures == "data-uri"
    assert meet(DagsHub()).open().capabilities.pictures == "linked"


def gitlab_job(meeting: Meeting, **values: str) -> dict[str, str]:
    """The environment of a job of the project."""
    return {FORGE_TOKEN: TOKEN, "GITLAB_CI": "true", "CI_SERVER_URL": meeting.place().url,
            "CI_PROJECT_PATH": meeting.place().repository, **values}  # fmt: skip


@pytest.mark.parametrize("values", [{}, {"CI_PROJECT_PATH": "mallory/digits", "CI_MERGE_REQUEST_PROJECT_PATH": ""}])
def test_a_job_of_gitlab_sets_no_status_beside_itself(meet: Meet, tmp_path: Path, values: dict[str, str]) -> None:
    meeting = meet(GitLab())
    if values:  # a fork's merge request
        values = {**values, "CI_MERGE_REQUEST_PROJECT_PATH": meeting.place().repository.upper()}
    place = meeting.place()
    settings = f'[forge]\nkind = "gitlab"\nurl = "{place.url}"\nrepository = "{place.repository}"\n'
    result = publish.run(run_context(tmp_path, HEAD, gitlab_job(meeting, **values), settings))
    assert result.reason == "comment set; the job is the status in GitLab CI"
    assert (len(meeting.ours()), meeting.dialect.statuses) == (1, [])


@pytest.mark.parametrize("values", [
    {"GITLAB_CI": ""}, {"CI_PROJECT_PATH": "team/other"}, {"CI_SERVER_URL": "https://gitlab.com"},
])  # fmt: skip
def test_another_projects_job_and_another_ci_server_set_gitlabs_status(meet: Meet, values: dict[str, str]) -> None:
    meeting = meet(GitLab())
    forge = open_forge(Opening(place=meeting.place(), environ=gitlab_job(meeting, **values), root=Path()))
    assert forge.capabilities.statuses


@pytest.mark.parametrize(("dialect", "state", "shown"), [
    (BitbucketCloud, CommitStatus.FAILURE, "FAILED"), (BitbucketCloud, CommitStatus.ERROR, "STOPPED"),
    (BitbucketCloud, CommitStatus.CANCELED, "STOPPED"),
    (BitbucketServer, CommitStatus.FAILURE, "FAILED"), (BitbucketServer, CommitStatus.ERROR, "UNKNOWN"),
    (BitbucketServer, CommitStatus.CANCELED, "CANCELLED"),
])  # fmt: skip
def test_an_error_is_no_failure_on_bitbucket(
    meet: Meet, dialect: type[Dialect], state: CommitStatus, shown: str
) -> None:
    meeting = meet(dialect())
    meeting.open().status(change(), "mlbutler", state, "said", "")
    assert [status["state"] for status in meeting.dialect.statuses] == [shown]


@pytest.mark.parametrize("state", [CommitStatus.ERROR, CommitStatus.CANCELED])
def test_a_data_center_that_knows_fewer_states_is_given_a_failure(meet: Meet, state: CommitStatus) -> None:
    meeting = meet(BitbucketServer())
    meeting.server.faults = [Fault("POST", "/builds", answer=Answer(400, {"errors": [{"message": "state"}]}))]
    meeting.open().status(change(), "mlbutler", state, "said", "")
    assert [status["state"] for status in meeting.dialect.statuses] == ["FAILED"]
    meeting.server.faults = [Fault("POST", "/builds", answer=Answer(400, {"errors": [{"message": "url"}]}))]
    with pytest.raises(RequestRefused, match="url"):
        meeting.open().status(change(), "mlbutler", CommitStatus.SUCCESS, "said", "")


@pytest.mark.parametrize(("token", "user", "word"), [
    ("ATBBplanted0123456789", "ada", "API token"), ("ATATT3xplanted0123456789", "", "e-mail"),
    ("ATATT3xplanted0123456789", "ada", "e-mail"),
])  # fmt: skip
def test_a_token_that_bitbucket_cloud_refuses_is_not_sent(meet: Meet, token: str, user: str, word: str) -> None:
    meeting = meet(BitbucketCloud())
    environ = {"BITBUCKET_TOKEN": token, FORGE_USER: user}
    with pytest.raises(SettingsError) as caught:
        open_forge(Opening(place=meeting.place(), environ=environ, root=Path()))
    assert word in caught.value.remedy
    assert FORGE_USER in caught.value.remedy
    assert token not in caught.value.message + caught.value.remedy
    assert meeting.server.seen == []


def test_bitbucket_cloud_takes_an_access_token_without_a_user(meet: Meet) -> None:
    meeting = meet(BitbucketCloud())
    meeting.dialect.token_header = ("Authorization", "Bearer ATCTT3xplanted0123456789")
    forge = open_forge(Opening(place=meeting.place(), environ={FORGE_TOKEN: "ATCTT3xplanted0123456789"}, root=Path()))
    forge.comment(change(), "mlbutler", body(), lambda head: False)
    assert len(meeting.ours()) == 1


@pytest.mark.parametrize(("dialect", "name"), [(Gitea, "Gitea"), (Gogs, "Gogs")])
@pytest.mark.parametrize("variable", [FORGE_TOKEN, "GITEA_TOKEN", "GOGS_TOKEN"])
def test_a_page_named_pulls_is_giteas_or_that_of_gogs(
    meet: Meet, dialect: type[Dialect], name: str, variable: str
) -> None:
    meeting = meet(dialect())
    url = meeting.place().url
    where = locate_forge(ForgeSettings(), {}, replace(change(), repository=f"{url}/team/digits.git",
                                                      url=f"{url}/team/digits/pulls/17"))  # fmt: skip
    assert where is not None
    assert where.guessed
    opening = Opening(place=replace(where, url=url), environ={variable: TOKEN}, root=Path())
    if (name, variable) in (("Gitea", "GOGS_TOKEN"), ("Gogs", "GITEA_TOKEN")):
        with pytest.raises(NoToken):
            open_forge(opening)
    else:
        assert open_forge(opening).name == name


@pytest.mark.parametrize("settings", [{"kind": "gitea"}, {"kind": "gogs"}])
def test_a_kind_that_is_said_is_no_guess(settings: dict[str, Any]) -> None:
    where = locate_forge(ForgeSettings(**settings), {}, replace(
        change(), repository="https://git.example.org/a/b", url="https://git.example.org/a/b/pulls/3"))  # fmt: skip
    assert where is not None
    assert (where.kind, where.guessed) == (settings["kind"], False)


def test_a_gitea_that_tells_its_version_to_nobody_stays_one(meet: Meet) -> None:
    meeting = meet(Gitea())
    meeting.server.faults = [Fault("GET", "/version", answer=Answer(403))]
    place = replace(meeting.place(), guessed=True)
    assert open_forge(Opening(place=place, environ={FORGE_TOKEN: TOKEN}, root=Path())).name == "Gitea"
