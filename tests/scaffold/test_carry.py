from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.errors import UsageError
from mlbutler.jenkins.lint import lint
from mlbutler.scaffold.carried import Carried, load_carried
from mlbutler.scaffold.carry import FormerJenkinsfile, carry
from mlbutler.scaffold.detected import DetectedProject, Remote
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.scaffold.formers import SCRIPTED, WRITE_UP

RESERVED = [
    # whose change it is: an empty value removes a variable, and Jenkins' names have no case
    ("CHANGE_FORK", ""), ("change_fork", ""), ("CHANGE_ID", ""), ("BRANCH_NAME", "main"), ("BUILD_ID", "1"),
    ("ghprbPullId", ""), ("gitlabSourceBranch", "main"), ("sourceBranch", "main"), ("CI", "false"), ("TF_BUILD", "1"),
    ("GITHUB_HEAD_REF", ""), ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "1"), ("bamboo_planKey", "x"), ("CIRCLECI", "1"),
    ("Mlbutler_Git_Url", "https://example.org"), ("CACHE_POLICY", "pull-push"), ("failed", ""),
    # where the repository and the daemon are, and who is trusted
    ("git_url", "https://example.org"), ("CI_PROJECT_URL", "https://example.org"), ("DOCKER_HOST", "tcp://h:1"),
    ("SSL_CERT_FILE", "ca.pem"), ("REQUESTS_CA_BUNDLE", "ca.pem"), ("AWS_ENDPOINT_URL", "http://h"),
    ("DVC_SITE_CACHE_DIR", "x"), ("XDG_CONFIG_HOME", "x"), ("FSSPEC_CONFIG_DIR", "x"),
    # what is loaded
    ("path", "/x"), ("LD_AUDIT", "x.so"), ("LD_LIBRARY_PATH", "lib"), ("OPENSSL_CONF", "x"), ("GCONV_PATH", "x"),
    ("PYTHONHOME", "x"), ("PYTHONSTARTUP", "x.py"), ("PIP_CONFIG_FILE", "pip.conf"),
]  # fmt: skip


def read(text: str, *purposes: str) -> FormerJenkinsfile:
    given = purposes or ("git", "forge", "http")
    return carry(text, purposes=given, local_remotes={"cache": "/extras/Store"}, commands=("python train.py",))


def left_remarks(former: FormerJenkinsfile) -> list[tuple[int, str]]:
    return [(remark.line, remark.text) for remark in former.left]


def test_a_declarative_file_of_a_docker_agent() -> None:
    former = read(WRITE_UP)
    assert former.carried == Carried(
        variables=(("BOT_NAME", "Butler"), ("PYTHONPATH", "${WORKSPACE}")),
        credentials=(("http", "DVC_PASSWORD"), ("git", "GIT_PAT")),
    )
    assert former.dockerfile == "Dockerfile"
    assert [remark.line for remark in former.taken] == [5, 12, 23, 50]
    assert left_remarks(former) == [
        (4, "REVISION: made when the build runs"),
        (12, "-v /extras:/extras: holds the DVC remote cache; make it the mirror: --mirror /extras/Store"),
        (58, "slackSend"),
    ]


def test_a_scripted_file() -> None:
    former = read(SCRIPTED)
    assert former.carried == Carried(
        image="tensorflow/tensorflow:2.15.0-gpu",
        label="gpu && linux",
        variables=(("DATA_DIR", "/data/raw"), ("PYTHONPATH", "src"), ("OUT", "${WORKSPACE}/out")),
        options=("--gpus=all", "--shm-size=8g"),
        volumes=("/data:/data:ro",),
    )
    assert left_remarks(former) == [
        (1, "@Library"),
        (2, "def image"),
        (7, "--user root: builds run as the agent's user"),
        (7, "--ipc host: it shares the agent's memory; --shm-size gives data loaders room"),
        (9, "BUILD: its value has other variables, quotes or the like"),
        (11, "a command: ./deploy.sh --all"),
        (15, "a command: make docs"),
    ]


def declarative(environment: str = "", args: str = "", agent: str = "") -> str:
    inner = agent or (f"agent {{ dockerfile {{\n args {args}\n }} }}" if args else "agent any")
    return f"pipeline {{\n{inner}\nenvironment {{\n{environment}\n}}\nstages {{\n}}\n}}\n"


@pytest.mark.parametrize(("line", "value"), [
    ("A = 'x'", "x"), ('A = "x"', "x"), ("A = '''x'''", "x"), ("A = 'x' + 'y'", "xy"), ("A = ('x')", "x"),
    ('A = "${env.WORKSPACE}/x"', "${WORKSPACE}/x"), ('A = "$WORKSPACE/x"', "${WORKSPACE}/x"),
    ("A = env.WORKSPACE + '/x'", "${WORKSPACE}/x"), ("B = '/b'\nA = \"${B}/x:${env.B}\"", "/b/x:/b"),
    ('A = "${pwd()}/x"', "${WORKSPACE}/x"), ("A = 'http://a.example.org:80/?b=c'", "http://a.example.org:80/?b=c"),
    # what is not taken over
    ("A = \"${sh(script: 'id')}\"", None), ("A = sh(returnStdout: true, script: 'id')", None), ("A = '$B'", None),
    ("A = 'it\\'s'", None), ('A = "\\$x"', None), ("A = \"${C}\"", None), ("A = params.X", None), ("A = 'a\\nb'", None),
    ("A = 'x'\nA = 'y'", "x"),
])  # fmt: skip
def test_plain_values_of_the_environment(line: str, value: str | None) -> None:
    former = read(declarative(line))
    assert dict(former.carried.variables).get("A") == value
    assert bool(former.left) is (value is None or line.count("A =") > 1)


@pytest.mark.parametrize(("line", "why"), [
    ("DB_PASSWORD = 'hunter2hunter2'", "credential"),
    ("NOTE = 'ghp_abcdefghijklmnopqrstuvwxyz0123456789'", "credential"),
    ("URL = 'https://ann:hunter2hunter2@example.org'", "credential"), ("PATH = '/evil:/bin'", "sets it"),
    ("MLBUTLER_TRUST = 'trusted'", "sets it"), ("GIT_SSH_COMMAND = 'sh'", "sets it"), ("HOME = '/x'", "sets it"),
    *((f"{name} = '{value}'", "sets it") for name, value in RESERVED),
])  # fmt: skip
def test_variables_that_stay_out(line: str, why: str) -> None:
    former = read(declarative(line))
    assert former.carried.variables == ()
    ((number, text),) = left_remarks(former)
    assert number == 4
    assert why in text
    assert "hunter2" not in text + str(former.carried)


@pytest.mark.parametrize(("name", "value"), RESERVED)
def test_a_manifest_gives_no_reserved_variable(name: str, value: str) -> None:
    with pytest.raises(UsageError, match="variables"):
        load_carried({"variables": [[name, value]]})


@pytest.mark.parametrize("name", [
    "DATA_DIR", "PYTHONPATH", "PYTHONHASHSEED", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "HTTPS_PROXY", "TZ", "LANG",
    "PIP_INDEX_URL", "AWS_DEFAULT_REGION", "MODEL_NAME", "TF_CPP_MIN_LOG_LEVEL", "HF_HOME", "CERTAINTY", "GOPATH",
])  # fmt: skip
def test_variables_of_the_projects_own_are_taken_over(name: str) -> None:
    former = read(declarative(f"{name} = 'x'"))
    assert (former.carried.variables, left_remarks(former)) == (((name, "x"),), [])


@pytest.mark.parametrize(("args", "kept"), [
    ("'--gpus all'", ("--gpus=all",)), ("'--gpus=2 --runtime=nvidia'", ("--gpus=2", "--runtime=nvidia")),
    ("'-m 4g --cpus 2.5'", ("--memory=4g", "--cpus=2.5")), ("'--network ours'", ("--network=ours",)),
    ("'--device=/dev/nvidia0 --device=/dev/nvidia-uvm'", ("--device=/dev/nvidia0", "--device=/dev/nvidia-uvm")),
    ("\"--entrypoint=''\"", ("--entrypoint=",)), ("'--init --rm -it -w /x'", ()),
])  # fmt: skip
def test_options_of_docker_that_give_more_of_a_resource(args: str, kept: tuple[str, ...]) -> None:
    former = read(declarative(args=args))
    assert former.carried.options == kept
    assert former.left == []


@pytest.mark.parametrize("option", [
    "--privileged", "--cap-add SYS_ADMIN", "--security-opt seccomp=unconfined", "--network host", "--net=host", "-u 0",
    "--pid host", "--device /dev/sda", "--network container:jenkins", "--volumes-from other", "--userns=host",
    "--mount type=bind,source=/,target=/x", "-v /:/host", "-v /etc:/etc",
    "-v /var/run/docker.sock:/var/run/docker.sock",
    "-v /home/jenkins:/home/jenkins", "-v /home:/home", "-v /home/jenkins/agent/workspace:/w", "-v /var:/x",
    "-v /var/lib:/x", "-v /var/lib/jenkins:/x", "-v /var/lib/jenkins/secrets:/x", "-v /var/jenkins_home/jobs:/x",
    "-v /srv/jenkins/workspace:/x", "-v /opt/jenkins:/x", "-v /root/.cache:/x", "-v /var/lib/docker/volumes:/x",
    "-v /srv/docker.sock:/x", "-v /sbin:/x", "-v /data:/opt", "-v /data:/home", "-v /data:/var",
    "-v /home/ann/.ssh:/keys", "-v /data/../etc:/x", "-v named:/x", "-v /data:/usr/bin", "-v /data:/opt/mlbutler",
    "-v $HOME/.m2:/root/.m2", "-v /data:/x:shared", "--entrypoint sh", "--gpus '\\\"device=0,1\\\"'", "image",
    "-e A", "--env-file /x", "-p 80:80", "-v /data/${BRANCH_NAME}:/x", "--gpus=`id`", "--gpus=$(id)",
])  # fmt: skip
def test_options_that_would_open_the_agent_or_are_not_known(option: str) -> None:
    former = read(declarative(args=f'"{option}"'))
    assert former.carried == Carried()
    assert len(former.left) == 1
    assert former.left[0].line == 3


def test_a_volume_is_written_by_our_own_change_alone() -> None:
    found = DetectedProject("x", carried=read(declarative(args="'-v /data:/data -v /ref:/ref:ro'")).carried)
    script = render_files(found, ScaffoldOptions())["Jenkinsfile"]
    assert "-v /data:/data${env.CHANGE_FORK ? ':ro' : ''} \\" in script
    assert "-v /ref:/ref:ro \\" in script


@pytest.mark.parametrize(
    "volume", ["/home/ann/data:/data", "/srv/data:/data", "/var/cache/x:/data", "/mnt/jenkins-x:/x"]
)
def test_folders_of_data_are_taken_over(volume: str) -> None:
    assert read(declarative(args=f"'-v {volume}'")).carried.volumes == (volume,)


def test_a_place_in_the_container_has_one_volume() -> None:
    former = read(declarative(args="'-v /srv/cache:/mirror -v /a:/x -v /a:/x -v /b:/x -v /c:/x/y'"))
    assert former.carried.volumes == ("/a:/x", "/c:/x/y")
    assert left_remarks(former) == [
        (3, "-v /srv/cache:/mirror: the mirror is there; make it the mirror: --mirror /srv/cache"),
        (3, "-v /b:/x: /a:/x has the same place"),
    ]
    found = DetectedProject("x", carried=former.carried)
    assert "-v /a:/x" in render_files(found, ScaffoldOptions())["Jenkinsfile"]
    script = render_files(found, ScaffoldOptions(mirror="/x"))["Jenkinsfile"]
    assert "-v /a:/x$" not in script
    assert script.count("-v /x:/x$") == 1


@pytest.mark.parametrize(("agent", "image", "label", "on_agents"), [
    ("agent { label 'gpu' }", "", "gpu", True),
    ("agent { node { label 'gpu' } }", "", "gpu", True),
    ("agent { docker 'python:3.9' }", "python:3.9", "", False),
    ("agent { docker { image 'python:3.9-alpine'; label 'a || b' } }", "python:3.9-alpine", "a || b", False),
    ("agent { docker { image 'alpine:3' } }", "", "", False),
    ("agent { docker { image \"${X}/y\" } }", "", "", False),
    ("agent { kubernetes { yaml 'x' } }", "", "", False),
    ("agent { label \"${params.X}\" }", "", "", False),
    ("agent { label 'a; b' }", "", "", False),
    ("agent any", "", "", False),
])  # fmt: skip
def test_agents(agent: str, image: str, label: str, on_agents: bool) -> None:
    former = read(declarative(agent=agent))
    assert (former.carried.image, former.carried.label, former.carried.on_agents) == (image, label, on_agents)
    assert bool(former.left) is (not image and not label and agent != "agent any")


def bind(binding: str, command: str = "true") -> str:
    return f"node {{\nwithCredentials([\n{binding}\n]) {{\nsh '{command}'\n}}\n}}\n"


@pytest.mark.parametrize(("text", "purposes", "found"), [
    (bind("usernamePassword(credentialsId: 'a', usernameVariable: 'AWS_ACCESS_KEY_ID', "
           "passwordVariable: 'AWS_SECRET_ACCESS_KEY')"), ("s3",), (("s3", "a"),)),
    (declarative("AWS_ACCESS_KEY_ID = credentials('a')\nAWS_SECRET_ACCESS_KEY = credentials('b')"),
     ("s3-key-id", "s3-secret-key"), (("s3-key-id", "a"), ("s3-secret-key", "b"))),
    (declarative("AWS_ACCESS_KEY_ID = credentials('a')"), ("s3-key-id", "s3-secret-key"), ()),
    (bind("string(credentialsId: 'a', variable: 'GITHUB_TOKEN')"), ("forge",), (("forge", "a"),)),
    (bind("file(credentialsId: 'a', variable: 'GOOGLE_APPLICATION_CREDENTIALS')"), ("gs",), (("gs", "a"),)),
    (bind("string(credentialsId: 'a', variable: 'AZURE_STORAGE_CONNECTION_STRING')"), ("azure",), (("azure", "a"),)),
    (bind("gitUsernamePassword(credentialsId: 'a', gitToolName: 'git')"), ("git",), (("git", "a"),)),
    # what is of no use: for another kind of remote, of another kind, for an unknown purpose, of no plain id
    (bind("string(credentialsId: 'a', variable: 'GITHUB_TOKEN')"), ("git",), ()),
    (bind("string(credentialsId: 'a', variable: 'GIT')", "git push https://$GIT@x"), ("git",), ()),
    (bind("string(credentialsId: 'a', variable: 'WANDB_API_KEY')"), ("git",), ()),
    (bind("usernamePassword(credentialsId: 'a b', usernameVariable: 'U', passwordVariable: 'P')", "git push"),
     ("git",), ()),
])  # fmt: skip
def test_ids_of_credentials_by_what_they_are_for(
    text: str, purposes: tuple[str, ...], found: tuple[tuple[str, str], ...]
) -> None:
    former = read(text, *purposes)
    assert former.carried.credentials == found
    assert bool(former.left) is not bool(found)


def test_a_long_line_is_looked_at_once() -> None:
    text = bind("usernamePassword(credentialsId: 'a', usernameVariable: 'U', passwordVariable: 'P')",
                 "dvc remote modify " * 30_000)  # fmt: skip
    assert read(text, "http").carried.credentials == ()


def test_ids_are_bound_where_the_generated_ones_would_be() -> None:
    carried = Carried(
        credentials=(("git", "GIT_PAT"), ("s3-key-id", "key"), ("s3-secret-key", "secret"), ("forge", "f"))
    )
    found = DetectedProject("x", forge="github", remote=Remote("origin", "s3"), carried=carried)
    script = render_files(found, ScaffoldOptions())["Jenkinsfile"]
    assert "credentialsId: 'GIT_PAT', gitToolName" in script
    assert "string(credentialsId: 'key', variable: 'AWS_ACCESS_KEY_ID')" in script
    assert "string(credentialsId: 'secret', variable: 'AWS_SECRET_ACCESS_KEY')" in script
    assert "[gitAccess(), dataAccess(), secretAccess()]" in script
    assert "credentialsId: 'f', variable: 'MLBUTLER_FORGE_TOKEN'" in script
    assert lint(script) == []


def test_tools_are_for_agents_without_a_container() -> None:
    carried = read(
        "pipeline {\nagent { label 'x' }\ntools { jdk 'jdk 17' }\nstages { stage('a') { steps { } } }\n}"
    ).carried
    found = DetectedProject("x", carried=carried)
    assert carried.tools == (("jdk", "jdk 17"),)
    assert "jdk 'jdk 17'" in render_files(found, ScaffoldOptions(agent="label", label="x"))["Jenkinsfile"]
    assert "jdk" not in render_files(found, ScaffoldOptions())["Jenkinsfile"]


@pytest.mark.parametrize(("command", "replaced"), [
    ("pytest -q", True), ("python -m pytest", True), ("dvc pull && dvc repro", True), ("git fetch | cat", True),
    ("pip install -r requirements.txt", True), ("pip3 install --upgrade pip", True), ("pip install .", True),
    ("python train.py", True), ("python  train.py", True), ("if ! git diff; then", True), ("A=b flake8 .", True),
    ("pip install -r a.txt -e . --quiet dvc[s3]==3.1", True), ("pip install -ra", True), ("pip install -r", False),
    ("python3 -m pip install wheel", True), ("pip install -e git+https://x", False), ("pip", False), ("A=b", False),
    # as long as a line may be, and what a pattern would try again and again
    ("pip install" + " -ra" * 3000 + " x", False), ("A=b " * 3000 + "x", False), ("if " * 3000 + "dvc pull", True),
    ("x" + " " * 30_000 + "x", False),
    ("pip install torch", False), ("python other.py", False), ("dvc exp run", False), ("rm -rf /extras", False),
    ("pytest && ./deploy.sh", False), ("docker push x", False), ("dvcx", False),
])  # fmt: skip
def test_commands_that_a_run_takes_the_place_of(command: str, replaced: bool) -> None:
    assert (left_remarks(read(f"node {{ sh '{command}' }}")) == []) is replaced


@pytest.mark.parametrize(("around", "said"), [
    ("timestamps", []), ("ansiColor('xterm')", []), ("withVenv", [(2, "withVenv")]),
    ("ours.with('x')", [(2, "ours.with")]),
    ("def train()", [(2, "def train")]), ("lock('gpu')", []), ("parallel a:", []),
])  # fmt: skip
def test_what_stands_in_blocks_that_are_not_known_is_read_too(around: str, said: list[tuple[int, str]]) -> None:
    former = read(f"node {{\n{around} {{\nwithEnv(['A=b']) {{\nsh 'pytest'\nsh './deploy'\n}}\n}}\n}}")
    assert former.carried.variables == (("A", "b"),)
    assert left_remarks(former) == [*said, (5, "a command: ./deploy")]


def test_options_that_are_made_when_the_build_runs() -> None:
    text = "node {\ndocker.image('python:3.9').inside(options()) { sh 'pytest' }\nimage.inside { sh 'pytest' }\n}"
    former = read(text)
    assert left_remarks(former) == [(2, "args: made when the build runs")]
    assert former.carried.image == "python:3.9"


@pytest.mark.parametrize("line", ["if (env.BRANCH_NAME =~ /^it's/) { echo 'x' }", "echo(a.replaceAll(/\"/, $/'/$))"])
def test_a_regular_expression_with_a_quote_hides_nothing(line: str) -> None:
    former = read(f"node('gpu') {{\n{line}\ndocker.image('debian:12').inside {{\nsh 'make docs'\n}}\n}}\n")
    assert (former.carried.label, former.carried.image) == ("gpu", "debian:12")
    assert left_remarks(former) == [(4, "a command: make docs")]


def test_what_is_no_groovy_gives_nothing() -> None:
    former = read("pipeline {\n agent any\n")
    assert (former.carried, left_remarks(former)) == (Carried(), [(1, "nothing is taken over: '{' is never closed")])


_WORDS = st.sampled_from([
    "'; sh 'touch /tmp/pwned'; '", '"', "'''", "${sh('id')}", "$(id)", "`id`", "\\", "\n", "/*", "*/", "//", "}", "{",
    "a", " ", "--gpus all", "-v /data:/data", "-e A=b", "${env.WORKSPACE}", "${{ secrets.X }}", "'", "é", "\0",
])  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(_WORDS, max_size=6), st.sampled_from(["'", '"', "'''", '"""']), st.data())
def test_hostile_text_stays_out_or_stays_text(words: list[str], quote: str, data: st.DataObject) -> None:
    text = quote + "".join(words) + quote
    where = data.draw(st.sampled_from([
        declarative(f"A = {text}"), declarative(f"A = credentials({text})"), declarative(args=text),
        declarative(agent=f"agent {{ label {text} }}"), declarative(agent=f"agent {{ docker {{ image {text} }} }}"),
        declarative(agent=f"agent {{ label 'x' }}\ntools {{ jdk {text} }}"), f"node {{ sh {text} }}",
    ]))  # fmt: skip
    former = read(where)
    found = DetectedProject("x", remote=Remote("origin", "http"), forge="github", carried=former.carried)
    options = ScaffoldOptions(agent="label", label="x") if former.carried.tools else ScaffoldOptions()
    script = render_files(found, options)["Jenkinsfile"]
    assert lint(script) == []
    assert "sh('id')" not in script
    assert not re.search(r"(?<!\\)'; sh 'touch", script)
    assert (
        load_carried({name: _lists(value) for name, value in dataclasses.asdict(former.carried).items()})
        == former.carried
    )


def _lists(value: object) -> object:
    return [_lists(one) for one in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("content", [
    {"image": "x; rm"}, {"variables": [["A", "'"]]}, {"variables": [["A;", "x"]]}, {"options": ["--privileged"]},
    {"options": ["--gpus=all --privileged"]}, {"volumes": ["/:/x"]}, {"volumes": ["/a:/b:ro'"]},
    {"volumes": ["/a:/b", "/c:/b"]},
    {"volumes": ["/home/jenkins:/x"]}, {"label": "x'"},
    {"credentials": [["git", "a'"]]}, {"credentials": [["other", "a"]]}, {"tools": [["a b", "x"]]}, {"other": 1},
    {"variables": "AB"}, {"variables": [["A"]]}, {"variables": [[["A"], "b"]]},
])  # fmt: skip
def test_what_the_manifest_keeps_is_checked_again(content: dict[str, object]) -> None:
    with pytest.raises((UsageError, ValueError, TypeError)):
        load_carried(content)
