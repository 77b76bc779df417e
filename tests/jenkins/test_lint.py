from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.jenkins.lint import LintFinding, is_declarative, lint
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.options import ScaffoldOptions, parse_agent
from mlbutler.scaffold.render import render_files
from tests.scaffold.projects import KINDS, make

GOOD = """\
#!/usr/bin/env groovy
// a comment with { and '
pipeline {
    agent none
    options {
        timestamps()
    }
    stages {
        stage('test and lint') {
            failFast true
            parallel {
                stage('test') {
                    agent { label 'docker' }
                    steps {
                        sh 'mlbutler test "${CHANGE_TITLE}"'
                    }
                }
                stage('lint') {
                    steps {
                        /* another { */
                        sh '''
                            mlbutler lint
                        '''
                        echo "of ${env.CHANGE_TITLE}"
                    }
                }
            }
        }
        stage('reproduce') {
            when {
                anyOf {
                    branch 'main'
                    changeRequest()
                }
            }
            steps {
                timeout(time: 2, unit: 'HOURS') {
                    sh "mlbutler reproduce --json > ${env.WORKSPACE_TMP}/x"
                }
                script {
                    def names = [a: 'b', c: { one -> one }]
                    if (names) { echo 'x' } else { echo 'y' }
                }
            }
        }
    }
    post {
        always {
            junit allowEmptyResults: true, testResults: '.mlbutler/report/junit.xml'
        }
    }
}
"""


def texts(found: list[LintFinding]) -> list[str]:
    return [finding.text for finding in found if finding.level == "error"]


def test_a_right_file_has_nothing_to_say() -> None:
    assert lint(GOOD) == []
    assert is_declarative(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("    agent none\n", "", "pipeline {", "the pipeline has no agent section"),
        ("    post {", "    posts {", "posts", "did you mean post?"),
        ("        always {", "        allways {", "allways", "did you mean always?"),
        ("steps {\n                timeout", "step {\n                timeout", "step {", "no section 'step'"),
        ("    stages {", "    stages { stage('x') {} ", "stage('x')", "a stage has none of"),
        ("'docker' }\n                    steps {", "'docker' } steps {", "} steps {", "one line with"),
        ("script {\n", "withEnv([]) { echo 'x' } echo 'z'\n script {\n", "echo 'z'", "one line with"),
        ("agent { label", "options { buildDiscarder() }\n agent { label", "buildDiscarder", "one of the pipeline"),
        ("sh \"mlbutler reproduce", "sh \"mlbutler $CHANGE_BRANCH", "$CHANGE_BRANCH", "text that a pull request"),
        ("sh 'mlbutler test \"${CHANGE_TITLE}\"'", "sh(script: \"x ${params.NAME}\")", "params.NAME", "params is text"),
        ("    }\n    post", "    post", "pipeline {", "is never closed"),
        ("'docker'", "'docker", "'docker", "a string that does not end"),
        ("*/", "", "/* another", "a comment that does not end"),
        ("    post {", "    stages {\n    }\n    post {", "    stages {\n    }", "a second stages section"),
        ("timestamps()", "timestampss()", "timestampss", "has no option 'timestampss'; did you mean timestamps?"),
        ("changeRequest()", "changeRequset()", "changeRequset", "did you mean changeRequest?"),
        ("echo \"of", "ehcho \"of", "ehcho", "has no step 'ehcho'; did you mean echo?"),
        ("junit allow", "juint allow", "juint", "did you mean junit?"),
        ("script {", "stage('a') {\n echo 'x' }\n script {", "stage('a')", "refuse outside a script block"),
        ("post {\n", "post {\n always { echo 'x' }\n", "always {\n", "a second always condition"),
        ("script {", "def x = 1\n script {", "def x", "Groovy's statements stand in a script block"),
        ("label 'docker'", "docker { args '-v' }", "docker {", "the docker has no image entry"),
        ("stage('lint')", "stag('lint')", "stag(", "parallel has no section 'stag'; did you mean stage?"),
        ("    options {", "    post {\n    }\n    options {", "    post {\n    }", "post is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_on_its_line(old: str, new: str, at: str, said: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    found = [finding for finding in lint(text) if finding.level == "error" and said in finding.text]
    assert [finding.line for finding in found] == [text[: text.index(at)].count("\n") + 1], lint(text)


def test_a_brace_too_many_is_found() -> None:
    assert texts(lint(GOOD + "}\n")) == ["'}' closes nothing that is open"]


def test_a_time_out_that_counts_the_queue_is_only_a_warning() -> None:
    text = GOOD.replace("            when {", "            options { timeout(time: 1) }\n            when {", 1)
    assert [(finding.level, "waits" in finding.text or "wait" in finding.text) for finding in lint(text)] == [
        ("warning", True)
    ]


def test_other_groovy_is_only_looked_at_for_balance_and_pasted_text() -> None:
    assert lint("@Library('x') _\nmlbutlerPipeline(label: 'gpu')\n") == []
    assert not is_declarative("mlbutlerPipeline()")
    assert texts(lint('node {\n  sh "git checkout ${env.CHANGE_BRANCH}"\n}\n'))
    assert texts(lint("node {\n")) == ["'{' is never closed"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("timestamps()", "frobnicate()"), ('echo "of', 'ourStep "of'), ("changeRequest()", "lunarPhase()")],
)
def test_what_a_plugin_may_bring_is_a_warning(old: str, new: str) -> None:
    (found,) = lint(GOOD.replace(old, new, 1))
    assert found.level == "warning"
    assert "--url" in found.text


def test_what_the_file_or_its_library_brings_is_no_error() -> None:
    own = GOOD.replace('echo "of', 'shh "of', 1)
    assert texts(lint(own))
    assert lint(f"{own}\ndef shh(text) {{ echo text }}\n") == []
    assert texts(lint(f"@Library('ours') _\n{own}")) == []
    assert texts(lint(own.replace("    agent none", "    libraries { lib('ours') }\n    agent none", 1))) == []


def test_what_semicolons_part_may_stand_on_one_line() -> None:
    steps = "steps { sh 'a'; retry(2) { sh 'b' }; sh 'c' }; post { always { echo 'd' } }"
    assert lint(f"pipeline {{\n agent any\n stages {{\n stage('x') {{ agent any; {steps} }}\n }}\n}}\n") == []


@pytest.mark.parametrize(
    "steps",
    [
        "sh script: 'x',\n  returnStatus: true",
        "sh(\n'x'\n)\nenv.NAME = 'y'",
        "echo 'a,'\nsh 'b'",
        "withCredentials([\n string(credentialsId: 'a', variable: 'B')\n]) {\n sh 'x'\n}",
        "sh 'a' +\n  'b'; echo 'c'",
    ],
)
def test_statements_over_several_lines_are_one_step(steps: str) -> None:
    assert lint(GOOD.replace("sh 'mlbutler test \"${CHANGE_TITLE}\"'", steps, 1)) == []


def test_the_jenkinsfiles_that_are_generated_have_nothing_wrong_nor_has_the_documented_stage(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "jenkins.md").read_text(encoding="utf-8")
    (doctor,) = re.findall(r"^stage\('doctor'\).*$", page, re.MULTILINE)
    for agent in ("docker", "kubernetes", "label:gpu"):
        kind, label = parse_agent(agent)
        options = ScaffoldOptions(agent=kind, label=label, image="registry.example.org/x:1")
        for name, project in KINDS.items():
            found = detect_project(make(tmp_path / kind / name, project), {})[1]
            text = render_files(found, options)["Jenkinsfile"]
            plan = "                stage('plan')"
            assert plan in text
            assert lint(text.replace(plan, f"{doctor}\n{plan}")) == [], (agent, name)


@pytest.mark.parametrize("step", [
    "sh 'echo ' + env.CHANGE_TITLE",
    "sh([\"echo\", env.CHANGE_TITLE].join(' '))",
    "sh String.format('echo %s', env.CHANGE_TITLE)",
    "steps.sh(returnStdout: true, script: 'echo ' + env.CHANGE_TITLE)",
    "sh 'echo ' + env['CHANGE_TITLE']",
    "sh 'echo '.concat(env.getProperty('CHANGE_TITLE'))",
    "sh(/echo $CHANGE_TITLE/)",
    "sh($/echo ${CHANGE_TITLE}/$)",
    'sh "echo \\\\${CHANGE_TITLE}"',
    "sh \"echo ${[1].collect { '}' }.join() + env.CHANGE_TITLE}\"",
    "sh names.collect { it + env.CHANGE_TITLE }.join(' ')",
    "sh env.CHANGE_TITLE ?: 'x'",
    "sh env.CHANGE_TITLE?.trim()",
    "powershell 'x ' + (many ? env.CHANGE_TITLE : 'b')",
    "if (x) { sh 'a' } else bat 'b' + CHANGE_TITLE",
])  # fmt: skip
def test_text_of_a_pull_request_that_becomes_part_of_a_script_is_found(step: str) -> None:
    (found,) = lint(f"node {{\n  {step}\n}}\n")
    assert (found.level, found.line) == ("error", 2)
    assert found.text.startswith("CHANGE_TITLE is text that a pull request chooses")


def test_it_is_found_in_its_line_of_a_call() -> None:
    text = (
        'sh \'a \' +\n  env.CHANGE_TITLE\nsh(script: """\n  x\n  $CHANGE_URL\n  ${\n params.X }\n""",\n label: \'x\')\n'
    )
    assert [(found.line, found.text.split()[0]) for found in lint(text)] == [
        (2, "CHANGE_TITLE"), (5, "CHANGE_URL"), (7, "params")
    ]  # fmt: skip


@pytest.mark.parametrize("step", [
    "sh 'echo $CHANGE_TITLE ${CHANGE_TITLE}'",
    'sh "echo \\${CHANGE_TITLE}"',
    "sh 'git log CHANGE_TITLE'",
    "sh(['a', 'BRANCH_NAME'].join(' '))",
    "sh env.BRANCH_NAME == 'main' ? 'a' : 'b'",
    "sh(script: (env.BRANCH_NAME =~ /it's/) ? 'a' : 'b')",
    "sh \"deploy ${env.BRANCH_NAME == 'main' ? 'a' : 'b'}\"",
    "sh(label: env.CHANGE_TITLE, script: 'a')",
    "if (x) sh 'a' else echo env.CHANGE_TITLE",
    "sh('a'); echo env.CHANGE_TITLE",
    "sh 'a'\necho env.CHANGE_TITLE",
    "def x = [sh: env.CHANGE_TITLE]",
    "def sh(text) { echo env.CHANGE_TITLE }",
])  # fmt: skip
def test_text_of_a_pull_request_that_is_no_part_of_a_script_is_no_fault(step: str) -> None:
    assert lint(f"node {{\n  {step}\n}}\n") == []


@pytest.mark.parametrize("script", ["if (env.BRANCH_NAME =~ /^it's/) { echo 'x' }", "x = y.replaceAll(/\"/, '')"])
def test_a_regular_expression_with_a_quote_is_no_fault(script: str) -> None:
    assert lint(GOOD.replace("if (names)", f"{script}\nif (names)", 1)) == []


@pytest.mark.parametrize(
    "piece", ["sh(", "sh ", "sh a\n", "sh params ", "sh '' + params\n", 'sh "$params"\n', "sh a ? "]
)
def test_long_texts_take_time_in_proportion(piece: str) -> None:
    def measure(times: int) -> float:
        text = piece * times + ")" * (times * piece.count("("))
        before = time.process_time()
        lint(text)
        return time.process_time() - before

    measure(100)
    assert measure(4_000) < 40 * measure(500) + 0.1


@given(st.text(alphabet="{}()[]'\"/*\n $aps\\#", max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    for finding in lint(text):
        assert 1 <= finding.line <= text.count("\n") + 1


@pytest.mark.parametrize("text", ["'a\\'", "'a\nb'", '"a\\"', "'''a\\'''", '"""a\\"""', "'''a''", '"""', "'a\\"])
def test_a_string_without_an_end_is_found_at_its_line(text: str) -> None:
    assert lint(f"x\n{text}") == [LintFinding("error", 2, "a string that does not end")]


@pytest.mark.parametrize(
    "text", ["''", '""', "''''''", '""""""', "'a\\'b'", "'''a'b''c'''", '"""a\n"b\\"""c"""', "'//'"]
)
def test_a_string_with_an_end_is_no_fault(text: str) -> None:
    assert lint(f"x\n{text} y") == []
