from __future__ import annotations

import dataclasses
import json
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from mlbutler.errors import UsageError
from mlbutler.jenkins.server import compose
from mlbutler.jenkins.server.casc import jenkins_yaml
from mlbutler.jenkins.server.compose import Compose, compose_yaml
from mlbutler.jenkins.server.credentials import AGENT_KEY, GIVEN, given_credentials, mounted_files, prepare
from mlbutler.jenkins.server.job import SOURCES, groovy_literal, job_dsl, train_job_dsl
from mlbutler.jenkins.server.kinds import load_server, save_server
from mlbutler.jenkins.server.model import JenkinsServer, Repository, job_name
from mlbutler.jenkins.server.plugins import CONTROLLER, plugins, plugins_txt
from mlbutler.jenkins.server.source import repository
from mlbutler.jenkins.server.versions import War
from tests.groovy.jenkins import groovy_environment, needs_groovy

PASSWORD = "s3cret-of-the-dvc-remote"
IMAGES = Path(compose.__file__).with_name("images")


def server(
    home: Path, source: str = "github", url: str = "https://github.com/team/digits.git", at: str = ""
) -> JenkinsServer:
    return JenkinsServer(name="digits", home=home, repository=repository(url, source, at or None))


@pytest.fixture
def prepared(tmp_path: Path) -> JenkinsServer:
    """A server whose secrets are there, with a DVC password from the team."""
    made = server(tmp_path / "server")
    assert prepare(made.secrets)
    (made.secrets / "DVC_USERNAME").write_text("team")
    (made.secrets / "DVC_PASSWORD").write_text(PASSWORD)
    return made


# ------------------------------------------------------------------------------------------ secrets


def test_secrets_are_made_once_and_only_their_owner_can_enter(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert prepare(folder)
    password, key = (folder / "ADMIN_PASSWORD").read_text(), (folder / AGENT_KEY).read_text()
    assert len(password) >= 20
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not prepare(folder)
    assert (folder / "ADMIN_PASSWORD").read_text() == password
    assert (folder / AGENT_KEY).read_text() == key


def test_half_a_credential_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "S3_ACCESS_KEY_ID").write_text("id")
    with pytest.raises(UsageError, match="S3_SECRET_ACCESS_KEY is missing"):
        given_credentials(tmp_path)


def test_no_file_but_the_secrets_holds_a_secret(prepared: JenkinsServer) -> None:
    Compose(prepared).write()
    save_server(Compose(prepared))
    secrets = [(prepared.secrets / name).read_text().strip() for name in mounted_files(prepared.secrets)]
    assert PASSWORD in secrets
    for path in prepared.home.rglob("*"):
        if path.is_file() and prepared.secrets not in path.parents:
            assert not [secret for secret in secrets if secret != "team" and secret in path.read_text()], path


# -------------------------------------------------------------------------------------------- files


def test_the_configuration_names_secrets_and_lets_nothing_run_on_the_controller(prepared: JenkinsServer) -> None:
    text = jenkins_yaml(prepared, given_credentials(prepared.secrets), host_key="ssh-ed25519 AAAAkey comment")
    config = yaml.safe_load(text)
    assert config["jenkins"]["numExecutors"] == 0
    assert config["jenkins"]["securityRealm"]["local"]["allowsSignup"] is False
    rights = {str(next(iter(entry.values()))["name"]): next(iter(entry.values()))["permissions"]
              for entry in config["jenkins"]["authorizationStrategy"]["globalMatrix"]["entries"]}  # fmt: skip
    assert rights["admin"] == ["Overall/Administer"]
    assert "Overall/Administer" not in rights["authenticated"]
    assert not {"anonymous", "everyone"} & set(rights)
    entries = config["credentials"]["system"]["domainCredentials"][0]["credentials"]
    kept = {next(iter(entry.values()))["id"]: next(iter(entry.values())) for entry in entries}
    assert kept["mlbutler-dvc"]["password"] == "${DVC_PASSWORD}"
    assert kept["mlbutler-agent"]["scope"] == "SYSTEM"
    launcher = config["jenkins"]["nodes"][0]["permanent"]["launcher"]["ssh"]
    assert launcher["sshHostKeyVerificationStrategy"] == {
        "manuallyProvidedKeyVerificationStrategy": {"key": "ssh-ed25519 AAAAkey"}
    }
    assert "mlbutler-git" not in kept


def test_the_address_is_the_local_one_unless_told_otherwise(prepared: JenkinsServer) -> None:
    services = yaml.safe_load(compose_yaml(prepared))["services"]
    assert services["controller"]["ports"] == ["127.0.0.1:8080:8080"]
    assert [name for name, service in services.items() if "ports" in service] == ["controller"]


def test_reports_keep_their_styles_and_get_no_scripts(prepared: JenkinsServer) -> None:
    """The image's start script splits JAVA_OPTS by xargs."""
    options = yaml.safe_load(compose_yaml(prepared))["services"]["controller"]["environment"]["JAVA_OPTS"]
    done = subprocess.run(["xargs", "printf", "%s\\n"], input=options, capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    assert words[:2] == ["-Xss8m", "-Djenkins.install.runSetupWizard=false"]
    name, _, policy = words[2].partition("=")
    assert name == "-Dhudson.model.DirectoryBrowserSupport.CSP"
    assert policy.startswith("sandbox allow-same-origin; ")  # as Jenkins' own; without allow-scripts
    rules = dict(rule.split(maxsplit=1) for rule in policy.strip("; ").split("; ")[1:])
    assert rules == {"default-src": "'none'", "img-src": "'self' data:", "style-src": "'self' 'unsafe-inline'"}
    assert len(words) == 3


def test_the_images_hold_versions_that_fit() -> None:
    """Controller and agent run with a Java that this Jenkins supports."""
    line = War(CONTROLLER, "", b"").line
    assert line is not None
    (controllers,) = re.findall(r"-jdk(\d+)$", CONTROLLER)
    (agents,) = re.findall(r" openjdk-(\d+)-jre-headless", (IMAGES / "agent.Dockerfile").read_text())
    assert {int(controllers), int(agents)} <= set(line.java)


def test_only_the_agent_reaches_the_docker_daemon_and_both_know_the_same_paths(prepared: JenkinsServer) -> None:
    services = yaml.safe_load(compose_yaml(prepared))["services"]
    assert services["docker"]["networks"] == ["docker"]
    assert [name for name, service in services.items() if "docker" in service["networks"]] == ["agent", "docker"]
    assert [name for name, service in services.items() if service.get("privileged")] == ["docker"]
    paths = [{volume for volume in services[name]["volumes"] if volume.startswith(("workspaces:", "mirror:"))}
             for name in ("agent", "docker")]  # fmt: skip
    assert paths[0] == paths[1]
    assert len(paths[0]) == 2
    assert not any("docker.sock" in volume for service in services.values() for volume in service["volumes"])


def test_every_file_that_compose_needs_is_there(prepared: JenkinsServer) -> None:
    Compose(prepared).write()
    config = yaml.safe_load((prepared.home / "compose.yaml").read_text())
    for secret in config["secrets"].values():
        assert (prepared.home / secret["file"]).is_file()
    named = {name for service in config["services"].values() for name in service.get("secrets", ())}
    assert named == set(config["secrets"])
    for service in config["services"].values():
        if "build" in service:
            dockerfile = prepared.home / service["build"]["context"] / service["build"]["dockerfile"]
            for copied in re.findall(r"^COPY (?:--\S+ )*(\S+) ", dockerfile.read_text(), re.MULTILINE):
                assert (dockerfile.parent / copied).is_file()
    assert config["services"]["controller"]["build"]["args"] == {"JENKINS": CONTROLLER}


def test_every_plugin_is_pinned(tmp_path: Path) -> None:
    for source in SOURCES:
        lines = plugins_txt(source).splitlines()
        assert all(re.fullmatch(r"[a-z0-9-]+:[\w.-]+", line) for line in lines)
        assert not any("latest" in line for line in lines)
    assert "gitea" in plugins("gitea")
    assert "gitea" not in plugins("github")


# ---------------------------------------------------------------------------------------------- job


@dataclasses.dataclass(frozen=True)
class Named:
    """Where a repository is, and what the job says of it."""

    url: str
    expected: str
    at: str = ""


NAMED = {
    "git": Named("https://git.example.org/team/digits.git", "jenkins.plugins.git.GitSCMSource"),
    "github": Named("https://github.com/team/digits.git", "GitHubSCMSource"),
    "gitlab": Named("https://gitlab.com/team/sub/digits.git", "team/sub/digits"),
    "gitea": Named(
        "https://git.example.org/gitea/team/digits.git",
        "https://git.example.org/gitea",
        "https://git.example.org/gitea",
    ),
    "bitbucket": Named("git@bitbucket.org:team/digits.git", "bitbucket.BitbucketSCMSource"),
    "dagshub": Named("https://dagshub.com/team/digits.git", "https://dagshub.com/team/digits.git"),
}


def job(home: Path, source: str) -> str:
    return job_dsl(server(home, source, NAMED[source].url, NAMED[source].at), "mlbutler-git")


@pytest.mark.parametrize("source", NAMED)
def test_the_job_names_its_source(tmp_path: Path, source: str) -> None:
    script = job(tmp_path, source)
    assert NAMED[source].expected in script
    assert script.count("id('") == 1
    assert script == job(tmp_path, source)  # the source keeps its id
    if source == "dagshub":
        assert "Fork" not in script
    elif source != "git":
        assert "TrustNobody" in script


def of_experiments(home: Path) -> JenkinsServer:
    found = server(home, "git", NAMED["git"].url, "")
    return dataclasses.replace(found, train="sub/Jenkinsfile.train", branch="trunk")


def test_the_job_for_experiments_reads_its_text_from_the_default_branch(tmp_path: Path) -> None:
    found = server(tmp_path, "git", NAMED["git"].url, "")
    assert "pipelineJob" not in jenkins_yaml(found, [], host_key=None)
    found = of_experiments(tmp_path)
    text = jenkins_yaml(found, [], host_key=None)
    assert [job["script"].split("(")[0] for job in yaml.safe_load(text)["jobs"]] == [
        "multibranchPipelineJob", "pipelineJob",
    ]  # fmt: skip
    script = train_job_dsl(found, "mlbutler-git")
    for line in (
        f"pipelineJob('{found.name}-train')", "branch('refs/heads/trunk')", "scriptPath('sub/Jenkinsfile.train')",
        "credentials('mlbutler-git')", "stringParam('EXPERIMENT'", "stringParam('LABEL'",
    ):  # fmt: skip
        assert line in script
    assert "credentials(" not in train_job_dsl(found, None)


@needs_groovy
def test_each_job_is_groovy(tmp_path: Path) -> None:
    scripts = {source: job(tmp_path, source) for source in NAMED}
    scripts["experiments"] = train_job_dsl(of_experiments(tmp_path), "mlbutler-git")
    for name, script in scripts.items():
        (tmp_path / f"{name}.groovy").write_text(script)
    check = tmp_path / "check.groovy"
    check.write_text('args.each { new GroovyShell().parse(new File(it)); println "${it}: compiled" }\n')
    files = [f"{name}.groovy" for name in scripts]
    done = subprocess.run(["groovy", "check.groovy", *files], cwd=tmp_path, env=groovy_environment(),
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stdout.splitlines() == [f"{file}: compiled" for file in files], done.stderr


def test_no_text_leaves_its_quotes() -> None:
    assert groovy_literal("it's ${x}\\\n") == "'it\\'s ${x}\\\\\\n'"


def test_groovy_in_the_configuration_is_not_taken_for_a_secret(tmp_path: Path) -> None:
    made = JenkinsServer(name="digits", home=tmp_path, repository=Repository("https://host/${HOME}/x", "git"))
    config = yaml.safe_load(jenkins_yaml(made, (), host_key=None))
    assert "^${HOME}" in config["jobs"][0]["script"]


# ------------------------------------------------------------------------------------------- source


@pytest.mark.parametrize(
    ("url", "source", "expected"),
    [
        ("https://github.com/team/digits.git", None, ("github", "https://github.com", "team/digits")),
        ("git@gitlab.com:team/sub/digits.git", None, ("gitlab", "https://gitlab.com", "team/sub/digits")),
        ("https://me:token@dagshub.com/team/digits", None, ("dagshub", "https://dagshub.com", "team/digits")),
        ("ssh://git@git.example.org:2222/team/x.git", "gitea", ("gitea", "https://git.example.org", "team/x")),
        ("http://localhost:3000/team/digits", "gitea", ("gitea", "http://localhost:3000", "team/digits")),
        ("https://host/scm/prj/digits.git", "bitbucket", ("bitbucket", "https://host", "prj/digits")),
        ("https://host/some/where.git", None, ("git", "", "")),
    ],
)  # fmt: skip
def test_the_branch_source_follows_from_the_address(url: str, source: str | None, expected: tuple[str, ...]) -> None:
    found = repository(url, source)
    assert (found.source, found.server, found.path) == expected
    assert "token" not in found.url


@pytest.mark.parametrize(
    ("url", "source", "server", "path"),
    [
        ("https://host/gitlab/team/sub/digits.git", "gitlab", "https://host/gitlab/", "team/sub/digits"),
        ("git@ssh.host:team/digits.git", "gitea", "https://www.host/git", "team/digits"),
        ("https://host/git/team/digits", "gitea", "https://me:token@host/git", "team/digits"),
        ("git@ghe.host:team/digits.git", "github", "https://ghe.host/api/v3", "team/digits"),
    ],
)
def test_the_forge_can_be_served_elsewhere(url: str, source: str, server: str, path: str) -> None:
    found = repository(url, source, server)
    assert found.path == path
    assert found.server == server.replace("me:token@", "").rstrip("/").removesuffix("/api/v3")


@pytest.mark.parametrize("url", ["https://github.com/digits.git", "https://github.com/a/b/c"])
def test_an_address_without_owner_and_name_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="owner and a repository") as error:
        repository(url, None)
    assert "--server" in error.value.remedy


@pytest.mark.parametrize(
    "url", ["/srv/repo.git", "file:///srv/repo.git", "C:\\repo", "https://", "http://host:port/x/y"]
)
def test_an_address_that_jenkins_cannot_reach_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as error:
        repository(url, None)
    assert "--url" in error.value.remedy


def test_names_fit_everywhere() -> None:
    assert job_name("My Project/ü 2") == "my-project-2"
    with pytest.raises(UsageError):
        job_name("ÿ")


def test_a_server_is_found_again(prepared: JenkinsServer) -> None:
    save_server(Compose(prepared))
    again = load_server(prepared.home)
    assert (again.kind, again.server) == ("compose", prepared)
    (prepared.home / "server.json").write_text(json.dumps({"kind": "x"}))
    with pytest.raises(UsageError, match="not readable"):
        load_server(prepared.home)


def test_every_credential_has_a_name_of_its_own() -> None:
    files = [name for credential in GIVEN for name in credential.files]
    assert len(files) == len(set(files))
