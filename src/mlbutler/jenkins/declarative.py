"""The grammar of declarative pipelines: what may stand in which section.

As the Jenkins handbook's "Pipeline Syntax" has it, with the options and steps of the plugins that pipelines usually
have. Plugins and libraries bring more, which only a controller knows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from mlbutler.jenkins.groovy import Block


@dataclass(frozen=True)
class SectionRule:
    """Hold what may stand in a section.

    Attributes:
        names: of sections, options or steps. what: the word for one of these.
        needs: those that it has to have. one_of: exactly one of these has to be there. once: each only once.
        extensible: plugins bring others.
    """

    names: frozenset[str]
    what: str = "section"
    needs: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    once: bool = False
    extensible: bool = False


def _section(names: str, what: str = "section", **rules: object) -> SectionRule:
    return SectionRule(frozenset(names.split()), what, **rules)  # type: ignore[arg-type]


_STEPS = _section(
    "addBadge addInfoBadge addShortText ansiblePlaybook ansiColor archive archiveArtifacts build buildDescription "
    "buildName catchError checkout cleanWs configFileProvider container containerLog "
    "copyArtifacts deleteDir dir dockerFingerprintFrom echo emailext error fileExists findFiles "
    "fingerprint git githubNotify gitlabCommitStatus gitStatusWrapper httpRequest input isUnix junit library "
    "libraryResource load lock mail milestone nodejs node parallel perfReport plot podTemplate "
    "powershell publishChecks publishCoverage publishHTML publishIssues pwd pwsh bat readFile readJSON "
    "readMavenPom readProperties readTrusted readYaml recordCoverage recordIssues resolveScm retry s3Download s3Upload "
    "scanForIssues script sh sha1 sha256 slackSend sleep sshagent sshPublisher stash step tar tee timeout "
    "timestamps tm tool touch unarchive unstable unstash untar unzip updateGitlabCommitStatus "
    "validateDeclarativePipeline waitForBuild waitForQualityGate waitUntil warnError withAnt withAWS withChecks "
    "withContext withCredentials withDockerContainer withDockerRegistry withDockerServer withEnv withGradle "
    "withKubeConfig withMaven withSonarQubeEnv wrap writeFile writeJSON writeYaml ws xunit zip",
    "step", extensible=True,
)  # fmt: skip
# What wraps the steps of a stage.
_WRAPPERS = (
    "ansiColor catchError checkoutToSubdirectory configFileProvider lock nodejs retry script skipDefaultCheckout "
    "sshagent timeout timestamps waitUntil warnError withAWS withChecks withContext withCredentials withEnv "
    "withKubeConfig withSonarQubeEnv wrap ws"
)
_CONDITIONS = (
    "allOf anyOf branch buildingTag changelog changeRequest changeset environment equals expression isRestartedRun not "
    "tag triggeredBy"
)
_AGENT = "args customWorkspace label registryCredentialsId registryUrl reuseNode"

GRAMMAR = {
    "pipeline": _section(
        "agent environment libraries options parameters post stages tools triggers",
        needs=("agent", "stages"), once=True,
    ),
    "stages": _section("stage", needs=("stage",)),
    "parallel": _section("stage", needs=("stage",)),
    "stage": _section(
        "agent environment failFast input matrix options parallel post stages steps tools when",
        one_of=("steps", "stages", "parallel", "matrix"), once=True,
    ),
    "matrix": _section(
        "agent axes environment excludes input options post stages tools when", needs=("axes", "stages"), once=True
    ),
    "axes": _section("axis", needs=("axis",)),
    "axis": _section("name notValues values", "entry", needs=("name",)),
    "excludes": _section("exclude", needs=("exclude",)),
    "exclude": _section("axis", needs=("axis",)),
    "libraries": _section("lib", "entry"),
    "post": _section(
        "aborted always changed cleanup failure fixed notBuilt regression success unstable unsuccessful", "condition",
        once=True
    ),
    "when": _section(f"{_CONDITIONS} beforeAgent beforeInput beforeOptions", "condition", extensible=True),
    **dict.fromkeys(("allOf", "anyOf", "not"), _section(_CONDITIONS, "condition", extensible=True)),
    "agent": _section("any docker dockerfile kubernetes label node none", "kind", extensible=True),
    "agent.docker": _section(f"{_AGENT} alwaysPull image", "entry", needs=("image",)),
    "agent.dockerfile": _section(f"{_AGENT} additionalBuildArgs dir filename", "entry"),
    "agent.node": _section("customWorkspace label retries", "entry", needs=("label",)),
    "input": _section("id message ok parameters submitter submitterParameter", "entry", needs=("message",)),
    "options": _section(
        f"{_WRAPPERS} authorizationMatrix buildDiscarder copyArtifactPermission disableConcurrentBuilds disableResume "
        "disableRestartFromStage durabilityHint gitLabConnection githubProjectProperty gitlabBuilds "
        "newContainerPerStage overrideIndexTriggers parallelsAlwaysFailFast preserveStashes quietPeriod "
        "rateLimitBuilds skipStagesAfterUnstable throttleJobProperty withFolderProperties",
        "option", extensible=True,
    ),
    "stage.options": _section(_WRAPPERS, "option", extensible=True),
    "parameters": _section(
        "base64File booleanParam choice credentials file gitParameter password run stashedFile string text",
        "parameter", extensible=True,
    ),
    "triggers": _section("bitbucketPush cron githubPush gitlab issueCommentTrigger pollSCM upstream", "trigger",
                         extensible=True),
    "steps": _STEPS,
}  # fmt: skip
LIBRARY = "a library"
_FREE = ("script",)  # Groovy, not steps
_STATEMENTS = frozenset(("assert", "def", "for", "if", "return", "switch", "throw", "try", "while"))
_SCRIPTED = frozenset(("properties", "stage"))  # steps of scripted pipelines alone
_NEAR = 0.79  # likeness of a mistyped name, as difflib measures it


@dataclass(frozen=True)
class Fault:
    """Hold what is wrong in a line; not `certain` where a plugin or library may bring what is not known."""

    line: int
    text: str
    certain: bool = True


def faults(pipeline: Block, own: frozenset[str]) -> Iterator[Fault]:
    """Yield what is wrong in a ``pipeline`` block.

    Args:
        own: names that the file defines itself, and `LIBRARY` where it loads one.
    """
    yield from _check_section(pipeline, "pipeline", own)


def _check_section(block: Block, key: str, own: frozenset[str]) -> Iterator[Fault]:
    section = GRAMMAR[key]
    for name, line in block.words:
        if name not in section.names and not (key == "steps" and name in own):
            yield _unknown(block, section, name, line, own)
    yield from _lacking(block, section)
    for name, line in block.joined:
        yield Fault(line, f"{name} stands on one line with the block before it: that does not load")
    for inner in block.blocks:
        if (below := _key(key, inner.name)) is not None:
            yield from _check_section(inner, below, own)


def _key(key: str, name: str) -> str | None:
    """Return the key of the section `name` in the section `key`; None where anything may stand."""
    if key in ("steps", "post"):
        return None if name in _FREE else "steps"
    return next((found for found in (f"{key}.{name}", name) if found in GRAMMAR), None)


def _unknown(block: Block, section: SectionRule, name: str, line: int, own: frozenset[str]) -> Fault:
    if section is _STEPS and name in _STATEMENTS:
        return Fault(line, f"'{name}' is not a step: Groovy's statements stand in a script block")
    if section is _STEPS and name in _SCRIPTED:
        return Fault(
            line, f"{block.name} has the step '{name}', which declarative pipelines refuse outside a script block"
        )
    near = difflib.get_close_matches(name, sorted(section.names), n=1, cutoff=_NEAR)
    hint = f"; did you mean {near[0]}?" if near else ""
    certain = not section.extensible or (bool(near) and not (section is _STEPS and LIBRARY in own))
    if section is GRAMMAR["stage.options"] and name in GRAMMAR["options"].names:
        certain, hint = True, ": it is one of the pipeline"
    if not certain and not near:
        hint = ": does a plugin or a library bring it? A controller knows (--url)"
    return Fault(line, f"{block.name} has no {section.what} '{name}'{hint}", certain)


def _lacking(block: Block, section: SectionRule) -> Iterator[Fault]:
    names = [name for name, _ in block.words]
    for needed in section.needs:
        if needed not in names:
            yield Fault(block.line, f"the {block.name} has no {needed} {section.what}")
    bodies = [name for name in section.one_of if name in names]
    if section.one_of and len(bodies) != 1:
        said = f"{' and '.join(bodies)}, only one of" if bodies else "none of"
        yield Fault(block.line, f"a {block.name} has {said} {', '.join(section.one_of)}")
    for name, line in block.words if section.once else ():
        if names.index(name) != block.words.index((name, line)):
            yield Fault(line, f"a second {name} {section.what}")
    if block.is_empty and not section.needs:
        yield Fault(block.line, f"{block.name} is empty")
