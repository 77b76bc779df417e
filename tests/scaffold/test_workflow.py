"""The files for GitHub Actions and GitLab CI: what they hold, judged by the vendors' schemas."""

from __future__ import annotations

import dataclasses
import importlib.resources
import itertools
import json
import re
import shlex
import subprocess
from functools import cache
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from mlbutler.errors import UsageError
from mlbutler.record import REPORTING_STEPS
from mlbutler.run_table import NAMES
from mlbutler.scaffold.carried import Carried
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.detected import DetectedProject, Remote
from mlbutler.scaffold.options import GITHUB, GITLAB, ScaffoldOptions
from mlbutler.scaffold.render import render_files
from mlbutler.scaffold.wheel import Wheel
from tests.scaffold.projects import KINDS, make

SCHEMAS = {GITHUB: "github-workflows.json", GITLAB: "gitlab-ci.json"}
KINDS_OF_RUN: dict[str, dict[str, Any]] = {
    "theirs": {}, "own": {"agent": "label", "label": "gpu"}, "mirror": {"mirror": "/srv/mirror"},
    "unstable": {"gate_as": "unstable"},
}  # fmt: skip
OWN_CODE = ("test", "lint", "reproduce")


@cache
def schema(name: str) -> Any:
    folder = importlib.resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor")
    return json.loads(folder.joinpath(name).read_text(encoding="utf-8"))


def load(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def validate(text: str, ci: str) -> Any:
    content = load(text)
    kind = jsonschema.validators.validator_for(schema(SCHEMAS[ci]))
    assert [error.message for error in kind(schema(SCHEMAS[ci])).iter_errors(content)] == []
    return content


def render(found: DetectedProject, ci: str, wheel: Wheel | None = None, **more: Any) -> tuple[str, str]:
    files = render_files(found, ScaffoldOptions(ci=ci, **more), wheel=wheel)
    [(path, text)] = [(path, text) for path, text in files.items() if path.endswith(".yml") and "-forks" not in path]
    assert "Jenkinsfile" not in files
    return path, text


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DetectedProject]:
    return {name: detect_project(make(tmp_path_factory.mktemp(name), kind), {})[1] for name, kind in KINDS.items()}


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_a_fork_s_build_found_is_published_by_a_workflow_that_runs_none_of_its_code(
    seen: dict[str, DetectedProject], kind: str
) -> None:
    files = render_files(seen[kind], ScaffoldOptions(ci=GITHUB))
    paths = [path for path in files if path.endswith("-forks.yml")]
    if seen[kind].forge not in ("", "github"):
        assert paths == []
        return
    content = validate(files[paths[0]], GITHUB)
    own = validate(render(seen[kind], GITHUB)[1], GITHUB)
    assert content["on"]["workflow_run"]["workflows"] == [own["name"]]
    (job,) = content["jobs"].values()
    assert "head_repository.full_name != github.repository" in job["if"]
    assert job["permissions"] == {"actions": "read", "contents": "read", "pull-requests": "write"}
    checkout = next(step for step in job["steps"] if "checkout" in step.get("uses", ""))
    assert "ref" not in checkout["with"], "never the fork's"
    assert "${{" not in " ".join(step.get("run", "") for step in job["steps"]), "no text of the fork in a shell"
    assert "secrets." not in files[paths[0]]
    (left,) = [
        s for s in own["jobs"]["mlbutler"]["steps"] if s.get("with", {}).get("name", "").startswith("mlbutler-bundle")
    ]
    (taken,) = [s for s in job["steps"] if s.get("id") == "bundle"]
    assert left["with"]["name"] == taken["with"]["name"]
    assert render_files(seen[kind], ScaffoldOptions(ci=GITHUB, agent="label", label="x")).keys().isdisjoint(paths)


@pytest.mark.parametrize("kind", list(KINDS))
def test_on_gitlab_a_schedule_publishes_it_in_a_job_that_runs_none_of_its_code(
    seen: dict[str, DetectedProject], kind: str
) -> None:
    content = validate(render(seen[kind], GITLAB)[1], GITLAB)
    jobs = [name for name in content if name.startswith("mlbutler-forks")]
    if seen[kind].forge not in ("", "gitlab"):
        assert jobs == []
        return
    job, own = content[jobs[0]], content[jobs[0].replace("mlbutler-forks", "mlbutler")]
    assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule" && $PUBLISH_FORKS'}]
    assert {**job["rules"][0], "when": "never"} in own["rules"][:-1]
    assert job["script"] == [f"with_forge mlbutler publish --forks {jobs[0].replace('mlbutler-forks', 'mlbutler')}"]
    assert job["before_script"] == own["before_script"]
    assert "cache" not in job
    assert any(path.endswith(".mlbutler/bundle.zip") for path in own["artifacts"]["paths"])
    shared = validate(render(seen[kind], GITLAB, mirror="/srv/mirror")[1], GITLAB)
    assert jobs[0] not in shared, "no fork's code runs there"


@pytest.mark.parametrize(("kind", "ci"), list(itertools.product(KINDS, SCHEMAS)))
def test_every_file_is_one_that_the_server_takes(seen: dict[str, DetectedProject], kind: str, ci: str) -> None:
    for more in KINDS_OF_RUN.values():
        validate(render(seen[kind], ci, **more)[1], ci)


def test_the_schemas_refuse_what_is_wrong() -> None:
    with pytest.raises(AssertionError):
        validate("on: push\njobs: {a: {runs-on: x, stepz: []}}", GITHUB)
    with pytest.raises(AssertionError):
        validate("job: {script: [a], artefacts: 5, timeout: 5}", GITLAB)


def steps(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = load(text)["jobs"]["mlbutler"]["steps"]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_github_gives_credentials_to_the_commands_that_need_them(seen: dict[str, DetectedProject], kind: str) -> None:
    text = render(seen[kind], GITHUB)[1]
    job = load(text)["jobs"]["mlbutler"]
    assert "secrets." not in json.dumps({name: value for name, value in job.items() if name != "steps"})
    assert "token" not in json.dumps(job["env"])
    taken = [step["name"] for step in steps(text) if step.get("name") in NAMES]
    assert sorted(taken) == sorted(NAMES if "publish" in taken else NAMES[:-1])
    order = [name for name in taken if name not in ("plan", "test", "lint")]
    assert order == [name for name in NAMES if name in order]
    for step in steps(text):
        given = json.dumps(step.get("env", {}))
        if step.get("name") in NAMES and step["name"] not in (*OWN_CODE, "report"):
            assert "github.token" in given
        else:
            assert "secrets." not in given
            assert "github.token" not in given


@pytest.mark.parametrize(("kind", "variables"), [
    ("pip", {"MLBUTLER_REMOTE_USER", "MLBUTLER_REMOTE_PASSWORD"}),
    ("pyproject", {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}), ("conda", {"MLBUTLER_REMOTE_USER", "SECRET"}),
    ("uv", {"SECRET"}), ("poetry", {"AZURE_STORAGE_CONNECTION_STRING"}), ("node", set()),
])  # fmt: skip
def test_the_remotes_own_secrets_are_named(seen: dict[str, DetectedProject], kind: str, variables: set[str]) -> None:
    [sync] = [step for step in steps(render(seen[kind], GITHUB)[1]) if step.get("name") == "sync"]
    assert set(sync["env"]) == {"GITHUB_TOKEN", *variables}


def test_github_lets_the_job_do_what_the_run_does_and_no_more(seen: dict[str, DetectedProject]) -> None:
    text = render(seen["pip"], GITHUB)[1]
    content = load(text)
    assert content["permissions"] == {}
    assert content["jobs"]["mlbutler"]["permissions"] == dict.fromkeys(
        ("contents", "pull-requests", "statuses", "checks"), "write"
    )
    assert set(content["on"]) == {"pull_request", "push"}
    checkout = steps(text)[0]["with"]
    assert (checkout["fetch-depth"], checkout["persist-credentials"]) == (0, False)
    assert "head.sha" in checkout["ref"]
    cache = [step for step in steps(text) if "cache" in str(step.get("uses"))]
    assert {step["with"]["path"] for step in cache} == {content["jobs"]["mlbutler"]["env"]["MLBUTLER_DATA_MIRROR"]}
    [kept, bundle] = [step["with"] for step in steps(text) if "upload-artifact" in str(step.get("uses"))]
    assert bundle["path"] == ".mlbutler/bundle.zip"
    assert kept["include-hidden-files"] is True  # .mlbutler is one
    assert ".mlbutler/*.json" in kept["path"]


@pytest.mark.parametrize("ci", SCHEMAS)
def test_agents_of_a_label_have_everything(seen: dict[str, DetectedProject], ci: str) -> None:
    text = render(seen["pip"], ci, agent="label", label="gpu")[1]
    assert "pip install" not in text
    assert "gpu" in text
    assert "cache" not in load(text).get("mlbutler", {})
    assert "actions/cache" not in text


@pytest.mark.parametrize("more", KINDS_OF_RUN.values(), ids=KINDS_OF_RUN)
def test_a_forks_code_runs_on_no_machine_whose_folders_are_shared(
    seen: dict[str, DetectedProject], more: dict[str, Any]
) -> None:
    condition = load(render(seen["pip"], GITHUB, **more)[1])["jobs"]["mlbutler"].get("if", "")
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert condition == (f"github.event_name != 'pull_request' || {same}" if "label" in more else "")
    # Branch protection takes a skipped job for passed: it must not bear the name of mlbutler's own check.
    assert load(render(seen["pip"], GITHUB, **more)[1])["jobs"]["mlbutler"]["name"] != "mlbutler"
    job = load(render(seen["pip"], GITLAB, **more)[1])["mlbutler"]
    first = job["rules"][0]
    assert "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID != $CI_MERGE_REQUEST_PROJECT_ID" in first["if"]
    shared = "label" in more or "mirror" in more
    assert first.get("when") == ("never" if shared else None)
    assert first.get("variables") == (None if shared else {"CACHE_POLICY": "pull"})


def test_gitlab_keeps_results_and_shows_tests(seen: dict[str, DetectedProject]) -> None:
    job = load(render(seen["monorepo"], GITLAB)[1])["mlbutler-teams-vision"]
    assert job["artifacts"]["reports"]["codequality"] == "teams/vision é/.mlbutler/report/codequality.json"
    assert job["artifacts"]["reports"]["metrics"] == "teams/vision é/.mlbutler/report/metrics.txt"
    assert job["artifacts"]["reports"]["junit"] == ["teams/vision é/.mlbutler/junit.xml"]  # the project's tests alone
    assert job["artifacts"]["when"] == "always"
    assert "teams/vision é/.mlbutler/*.json" in job["artifacts"]["paths"]
    assert job["variables"]["GIT_DEPTH"] == "0"
    assert job["cache"]["paths"] == [".mlbutler-mirror/"]
    fork = job["rules"][0]
    assert fork["variables"] == {"CACHE_POLICY": "pull"}
    commands = [line for line in job["script"] if "mlbutler " in line]
    for name in NAMES:
        [line] = [line for line in commands if f"mlbutler {name}" in line]
        wrapped = "" if name in (*OWN_CODE, "report") else "with_forge " if name == "publish" else "with_data "
        assert line == f"{wrapped}mlbutler {name} || failed=1"
    assert set(REPORTING_STEPS) <= {line.split()[-3] for line in commands}


@pytest.mark.parametrize(("kind", "ci", "folder", "path"), [
    ("pip", GITHUB, "", ".github/workflows/mlbutler.yml"),
    ("monorepo", GITHUB, "teams/vision é", "../../.github/workflows/mlbutler-teams-vision.yml"),
    ("pip", GITLAB, "", ".gitlab-ci.yml"), ("monorepo", GITLAB, "teams/vision é", "mlbutler.gitlab-ci.yml"),
])  # fmt: skip
def test_where_the_file_goes(seen: dict[str, DetectedProject], kind: str, ci: str, folder: str, path: str) -> None:
    assert render(seen[kind], ci)[0] == path


EVIL = "${{ secrets.X }} $(id) `id` '; id; \" é"


def test_hostile_names_stay_names(seen: dict[str, DetectedProject]) -> None:
    found = dataclasses.replace(seen["pip"], folder=EVIL, target=EVIL, python_path=("lib",), missing=(EVIL,))
    text = render(found, GITHUB)[1]
    content = validate(text, GITHUB)
    job = content["jobs"]["mlbutler"]
    quoted = EVIL.replace("${{", "${{ '${{' }}")
    assert content["on"]["push"]["branches"] == [quoted]
    assert job["env"]["MLBUTLER_CHDIR"] == quoted
    assert job["env"]["PYTHONPATH"] == f"${{{{ github.workspace }}}}/{quoted}/lib"
    for expression in re.findall(r"\$\{\{(.*?)\}\}", text):
        assert "secrets.X" not in expression
    for step in job["steps"]:
        evaluated = step.get("run", "").replace("${{ '${{' }}", "${{")
        assert subprocess.run(["sh", "-n", "-c", evaluated], check=False).returncode == 0
    job = validate(render(found, GITLAB)[1], GITLAB)["mlbutler-secrets.X-id-id-id"]
    assert job["variables"]["MLBUTLER_CHDIR"] == EVIL.replace("$", "$$")
    script = "\n".join((*job["before_script"], *job["script"]))
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
    words = shlex.split(next(line for line in job["before_script"] if line.startswith("mkdir")))
    assert f"{EVIL}/requirements.txt" in words


@pytest.mark.parametrize("ci", SCHEMAS)
def test_a_name_that_breaks_the_lines_is_refused(seen: dict[str, DetectedProject], ci: str) -> None:
    with pytest.raises(UsageError, match="control characters"):
        render(dataclasses.replace(seen["pip"], folder="a\nb"), ci)


@pytest.mark.parametrize(("ci", "workspace"), [(GITHUB, "$GITHUB_WORKSPACE"), (GITLAB, "$CI_PROJECT_DIR")])
def test_the_running_version_comes_from_the_clone(seen: dict[str, DetectedProject], ci: str, workspace: str) -> None:
    found = dataclasses.replace(seen["monorepo"], remote=Remote("origin", "s3"))
    wheel = Wheel("mlbutler-1-py3-none-any.whl", b"x")
    text = render(found, ci, wheel)[1].replace('\\"', '"')
    address = f"file://{workspace}/teams/vision%20%C3%A9/.mlbutler-init/{wheel.name}#sha256={wheel.sha256}"
    assert f'"mlbutler[s3] @ {address}"' in text


@pytest.mark.parametrize("ci", SCHEMAS)
def test_variables_and_folders_for_imports_are_given(seen: dict[str, DetectedProject], ci: str) -> None:
    carried = Carried(variables=(("DATA", "/data"), ("OUT", "${WORKSPACE}/out")))
    text = render(dataclasses.replace(seen["pip"], carried=carried, python_path=("", "src")), ci)[1]
    here = "${{ github.workspace }}" if ci == GITHUB else "$CI_PROJECT_DIR"
    for line in ('DATA: "/data"', f'OUT: "{here}/out"', f'PYTHONPATH: "{here}:{here}/src"'):
        assert line in text


@pytest.mark.parametrize(("ci", "options"), [
    (GITHUB, {"agent": "kubernetes", "image": "x"}), (GITHUB, {"image": "x"}), (GITLAB, {"gpu": True}),
    (GITLAB, {"agent": "label", "label": "a && b"}), ("other", {}),
])  # fmt: skip
def test_options_that_the_server_does_not_have(ci: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ScaffoldOptions(ci=ci, **options)


def test_gitlab_runs_in_an_image_that_was_built(seen: dict[str, DetectedProject]) -> None:
    files = render_files(seen["pip"], ScaffoldOptions(ci=GITLAB, image="registry.example.org/words:1"))
    job = validate(files[".gitlab-ci.yml"], GITLAB)["mlbutler"]
    assert job["image"] == "registry.example.org/words:1"
    assert "Dockerfile" in files
    assert not any("apt-get" in line for line in job["before_script"])
