from __future__ import annotations

import httpx
import pytest

from mlbutler.errors import AccessDenied, OutsideError, UsageError
from mlbutler.jenkins.client import JenkinsClient
from tests.jenkins.controller import Controller

GOOD = "pipeline {\n agent any\n}\n"


@pytest.fixture
def controller() -> Controller:
    made = Controller(password="pass word", token="t0ken")
    made.prefix = "/jenkins"
    return made.serve()


def test_a_controller_that_starts_does_not_answer_yet(controller: Controller) -> None:
    controller.starting = 1
    with JenkinsClient(controller.url) as client:
        assert client.answers() is None
        assert client.answers() == "2.568.2"


def test_a_controller_that_failed_to_start_is_told_from_one_that_starts(controller: Controller) -> None:
    controller.failed = True
    with JenkinsClient(controller.url) as client, pytest.raises(OutsideError, match="failed to initialize"):
        client.answers()


def test_nobody_there_is_no_answer_and_an_error_when_something_is_asked(port: int) -> None:
    with JenkinsClient(f"http://127.0.0.1:{port}/") as client:
        assert client.answers() is None
        with pytest.raises(OutsideError, match="does not answer"):
            client.jobs()


def test_a_password_brings_its_crumb_and_a_token_needs_none(controller: Controller) -> None:
    for user, secret in (("admin", "pass word"), ("somebody", "t0ken")):
        with JenkinsClient(controller.url, user, secret) as client:
            assert client.validate(GOOD) == []
            assert client.validate("pipeline {\n}\n") == ['Missing required section "agent" @ line 1']


def test_wrong_credentials_are_told_from_everything_else(controller: Controller) -> None:
    with (
        JenkinsClient(controller.url, "admin", "wrong") as client,
        pytest.raises(AccessDenied, match="refused") as error,
    ):
        client.validate(GOOD)
    assert "wrong" not in error.value.message + error.value.remedy
    controller.redirects = True
    with JenkinsClient(controller.url, "admin", "pass word") as client, pytest.raises(AccessDenied):
        client.jobs()


def test_a_controller_without_the_validator_is_named(controller: Controller) -> None:
    controller.validates = False
    with (
        JenkinsClient(controller.url, "somebody", "t0ken") as client,
        pytest.raises(OutsideError, match="no validator"),
    ):
        client.validate(GOOD)


def test_other_groovy_is_compiled_below_a_job(controller: Controller) -> None:
    controller.job = "team digits"
    with JenkinsClient(controller.url, "somebody", "t0ken") as client:
        assert client.compile("node {\n sh 'x'\n}\n") == []
        assert client.compile("node {\n sh 'x'\n") == ["unexpected token:  @ line 3"]
    assert any(line.startswith("POST /jenkins/job/team%20digits/descriptorByName/") for line in controller.asked)
    with JenkinsClient(f"{controller.url}job/a/job/b/", "somebody", "t0ken") as client:
        assert client.compile("@Library('x') _\n") == []
    assert any(line.startswith("POST /jenkins/job/a/job/b/descriptorByName/") for line in controller.asked)


def test_a_user_who_may_configure_nothing_gets_no_verdict(controller: Controller) -> None:
    """The controller says success to such a user, whatever the text."""
    for job, configures in (("digits", False), ("", True)):
        controller.job, controller.configures = job, configures
        with (
            JenkinsClient(controller.url, "somebody", "t0ken") as client,
            pytest.raises(AccessDenied, match="no job that it may configure"),
        ):
            client.compile("node { }")


@pytest.mark.parametrize("url", ["jenkins.example.org", "ftp://host/", "http://", "https://me:secret@host/"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as error:
        JenkinsClient(url)
    assert "secret" not in error.value.message


def test_the_jenkinsfile_is_in_the_body_and_never_in_an_address(controller: Controller) -> None:
    with JenkinsClient(controller.url, "somebody", "t0ken") as client:
        client.validate(GOOD)
    assert not any("pipeline%20" in line or "agent" in line for line in controller.asked)
    assert httpx.URL(controller.url).path == "/jenkins/"
