"""Decide what of a hand-written Jenkinsfile is taken over, and say of everything else why it is not."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlbutler.jenkins.groovy import NotGroovy
from mlbutler.jenkins.handwritten import About, Fact, read_jenkinsfile
from mlbutler.scaffold.base_image import is_base
from mlbutler.scaffold.carried import FORGE, GIT, KEY_ID, SECRET_KEY, Carried, is_id, is_label, is_tool, is_variable
from mlbutler.scaffold.commands_replaced import is_replaced
from mlbutler.scaffold.docker_arguments import DockerArguments, parse_arguments
from mlbutler.scaffold.options import MIRROR
from mlbutler.scaffold.reserved_variables import is_reserved
from mlbutler.secrets import Redactor, is_secret_name

_FORGE_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "GITEA_TOKEN", "FORGEJO_TOKEN", "BITBUCKET_TOKEN",
                 "MLBUTLER_FORGE_TOKEN", "repo_token", "REPO_TOKEN")  # fmt: skip
_KEYS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
_FOR = {GIT: "Git", FORGE: "the forge"}
# From the start of a line: a search from each place in it takes as long as the line is, each time.
_SETS_PASSWORD = re.compile(r"^(?:(?!dvc remote modify\b).)*dvc remote modify\b.*\b(?:password|user)\b", re.MULTILINE)
_PASSWORDS = ("usernamePassword", "gitUsernamePassword", "usernameColonPassword")


@dataclass(frozen=True)
class Remark:
    """One line of the Jenkinsfile, and what became of it."""

    line: int
    text: str


@dataclass
class FormerJenkinsfile:
    """What was taken over, and what is said of it: `taken` and `left`, in the order of the lines."""

    carried: Carried = field(default_factory=Carried)
    taken: list[Remark] = field(default_factory=list)
    left: list[Remark] = field(default_factory=list)
    dockerfile: str = ""


def carry(
    text: str, *, purposes: Collection[str], local_remotes: Mapping[str, str], commands: Sequence[str]
) -> FormerJenkinsfile:
    """Return what a Jenkinsfile's text gives.

    Args:
        purposes: what the new Jenkinsfile binds credentials for. local_remotes: name -> folder of DVC remotes on the
            agent. commands: of the project's stages.
    """
    former = FormerJenkinsfile()
    try:
        facts = read_jenkinsfile(text)
    except NotGroovy as broken:
        former.left.append(Remark(broken.line, f"nothing is taken over: {broken.text}"))
        return former
    arguments = parse_arguments(fact for fact in facts if fact.about is About.ARGS)
    found: dict[str, object] = {"variables": _variables(facts, arguments, former)}
    found |= _agent(facts, former)
    found |= _docker(arguments, local_remotes, former)
    found["credentials"] = tuple(_credentials(facts, purposes, former))
    found["tools"] = tuple(_tools(facts, former))
    former.left += _others(facts, commands)
    former.carried = Carried(**found)  # type: ignore[arg-type]
    former.taken.sort(key=lambda remark: remark.line)
    former.left.sort(key=lambda remark: remark.line)
    return former


# ------------------------------------------------------------------------------------------- agents


def _agent(facts: Sequence[Fact], former: FormerJenkinsfile) -> dict[str, object]:
    labels = [fact for fact in facts if fact.about is About.LABEL and fact.value != ""]
    containers = [fact for fact in facts if fact.about in (About.IMAGE, About.DOCKERFILE)]
    label = next((fact for fact in labels if fact.value is not None and is_label(fact.value)), None)
    for fact in labels:
        if fact.value is None or not is_label(fact.value):
            former.left.append(Remark(fact.line, "label: made when the build runs"))
        elif label is not None and fact.value != label.value:
            former.left.append(Remark(fact.line, f"label {fact.value}: a build has one agent, of {label.value}"))
    if label is not None:
        former.taken.append(Remark(label.line, f"agents labelled {label.value}"))
    image = _image(containers, former)
    return {"label": label.value if label else "", "image": image, "on_agents": label is not None and not containers}


def _image(containers: Sequence[Fact], former: FormerJenkinsfile) -> str:
    image = ""
    for fact in containers:
        if image or former.dockerfile:
            if fact.value not in (image, former.dockerfile):
                former.left.append(Remark(fact.line, f"{fact.about} {fact.value or ''}: a build has one image"))
        elif fact.value is None:
            former.left.append(Remark(fact.line, f"{fact.about}: made when the build runs"))
        elif fact.about is About.DOCKERFILE:
            former.dockerfile = fact.value
        elif is_base(fact.value):
            image = fact.value
            former.taken.append(Remark(fact.line, f"image {image}: the Dockerfile starts from it"))
        else:
            former.left.append(Remark(fact.line, f"image {fact.value}: not known to have Debian's or Ubuntu's apt-get"))
    return image


def _docker(
    arguments: DockerArguments, local_remotes: Mapping[str, str], former: FormerJenkinsfile
) -> dict[str, object]:
    former.left += [Remark(line, text) for line, text in arguments.refused]
    targets: dict[str, str] = {}
    for line, volume in arguments.volumes:
        source, target = volume.split(":")[:2]
        inside = {
            name: url for name, url in local_remotes.items() if f"{posixpath.normpath(url)}/".startswith(f"{target}/")
        }
        if f"{target}/".startswith(f"{MIRROR}/"):
            text = f"-v {volume}: the mirror is there; make it the mirror: --mirror {source}"
            former.left.append(Remark(line, text))
        elif target in targets and targets[target] != volume:
            former.left.append(Remark(line, f"-v {volume}: {targets[target]} has the same place"))
        elif inside:
            name, url = next(iter(inside.items()))
            folder = source + posixpath.normpath(url).removeprefix(target)
            text = f"-v {volume}: holds the DVC remote {name}; make it the mirror: --mirror {folder}"
            former.left.append(Remark(line, text))
        else:
            targets[target] = volume
            former.taken.append(Remark(line, f"-v {volume}, read-only for a fork's change"))
    former.taken += [Remark(line, option) for line, option in arguments.options]
    return {
        "options": tuple(dict.fromkeys(option for _, option in arguments.options)),
        "volumes": tuple(targets.values()),
    }


# ---------------------------------------------------------------------------------------- variables


def _variables(
    facts: Sequence[Fact], arguments: DockerArguments, former: FormerJenkinsfile
) -> tuple[tuple[str, str], ...]:
    said = [(fact.line, fact.name, fact.value) for fact in facts if fact.about is About.VARIABLE]
    found: dict[str, str] = {}
    for line, name, value in sorted((*said, *arguments.variables), key=lambda one: one[0]):
        known = None if value is None else arguments.in_workspace(_expand_variables(value, found))
        if why := _why_not(name, known, found):
            former.left.append(Remark(line, f"{name}: {why}"))
        elif known is not None:
            found[name] = known
            former.taken.append(Remark(line, f"{name}, a variable of the environment"))
    return tuple(found.items())


def _expand_variables(value: str, known: Mapping[str, str]) -> str:
    """Return a value with the variables filled in that stand before it."""
    return re.sub(r"\$\{(\w+)\}", lambda match: known.get(match[1], match[0]), value)


def _why_not(name: str, value: str | None, known: Mapping[str, str]) -> str:
    if is_reserved(name):
        return "the server or the agent sets it; no file of the repository may"
    if value is None:
        return "made when the build runs"
    if is_secret_name(name) or (text := f"{name}={value}") != Redactor(()).hide(text):
        return "looks like a credential; keep it in Jenkins' store"
    if not is_variable(name, value):
        return "its value has other variables, quotes or the like"
    return "has several values" if known.get(name, value) != value else ""


# -------------------------------------------------------------------------------------- credentials


def _credentials(
    facts: Sequence[Fact], purposes: Collection[str], former: FormerJenkinsfile
) -> Iterator[tuple[str, str]]:
    found: dict[str, str] = {}
    said = [fact for fact in facts if fact.about is About.CREDENTIAL]
    bound = {name for fact in said if fact.value in ("environment", "string") for name in fact.names}
    for fact in said:
        purpose = _purpose(fact, bound)
        shown = _FOR.get(purpose, "the DVC remote")
        if purpose not in purposes or not is_id(fact.name):
            names = ", ".join(fact.names)
            why = "stages get no credential; bind it around the command that needs it"
            former.left.append(Remark(fact.line, f"credential {fact.name}{f' as {names}' if names else ''}: {why}"))
        elif found.setdefault(purpose, fact.name) != fact.name:
            former.left.append(Remark(fact.line, f"credential {fact.name}: {found[purpose]} is used for {shown}"))
        else:
            former.taken.append(Remark(fact.line, f"credential {fact.name}, for {shown}"))
    yield from found.items()


def _purpose(fact: Fact, bound: set[str]) -> str:
    """Return what a credential is for, '' when the commands around it do not show that, or it is of another kind."""
    kind, names = fact.value or "", fact.names
    if kind in _PASSWORDS:
        if set(_KEYS) <= set(names):
            return "s3"
        if _SETS_PASSWORD.search(fact.used):
            return "http"
        return (
            GIT if re.search(r"\bgit (?:push|fetch|pull|clone)\b", fact.used) or kind == "gitUsernamePassword" else ""
        )
    if kind in ("string", "environment") and len(names) == 1:
        if names[0] in _KEYS:
            return _KEYS[names[0]] if set(_KEYS) <= bound else ""
        if names[0] in _FORGE_TOKENS:
            return FORGE
        return "azure" if names[0] == "AZURE_STORAGE_CONNECTION_STRING" else ""
    return "gs" if kind == "file" and names == ("GOOGLE_APPLICATION_CREDENTIALS",) else ""


# ----------------------------------------------------------------------------------------- the rest


def _tools(facts: Sequence[Fact], former: FormerJenkinsfile) -> Iterator[tuple[str, str]]:
    for fact in facts:
        if fact.about is About.TOOL:
            if fact.value is None or not is_tool(fact.name, fact.value):
                former.left.append(Remark(fact.line, f"tool {fact.name}: made when the build runs"))
            else:
                former.taken.append(Remark(fact.line, f"tool {fact.name} {fact.value}, on agents without a container"))
                yield fact.name, fact.value


def _others(facts: Sequence[Fact], commands: Sequence[str]) -> Iterator[Remark]:
    for fact in facts:
        if fact.about is About.OTHER:
            yield Remark(fact.line, fact.name)
        elif fact.about is About.COMMAND and fact.value is None:
            yield Remark(fact.line, "a command: made when the build runs")
        elif fact.about is About.COMMAND and fact.value is not None and not is_replaced(fact.value, commands):
            yield Remark(fact.line, f"a command: {fact.value[:80]}")
        elif fact.about is About.ARGS and fact.value is None:
            yield Remark(fact.line, "args: made when the build runs")
