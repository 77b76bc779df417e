"""npm-groovy-lint on each Jenkinsfile that `mlbutler init` writes, and on the scripts of the shared library."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from mlbutler.scaffold.carried import Carried
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.detected import ContainerImage, DetectedProject, Remote
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.groovy.jenkins import JAVA_OPTS
from tests.groovy.test_library import LIBRARY
from tests.scaffold.projects import KINDS, make
from tests.scaffold.test_render import AGENTS

RULES = Path(__file__).parents[2] / ".groovylintrc.yml"
# As `make test` installs it: in the environment that the tests run in.
_BESIDE = Path(sys.prefix) / "groovy-lint" / "node_modules" / ".bin"


def _linter() -> list[str]:
    program = shutil.which("npm-groovy-lint", path=_BESIDE) or shutil.which("npm-groovy-lint")
    java = shutil.which("java")
    if program is None or java is None:
        pytest.skip("npm-groovy-lint or Java is not installed (`make test` installs the former: Node.js 20, npm)")
    # Named, so that it downloads no Java of its own; no server, which would outlive the test.
    return [program, "--noserver", "--javaexecutable", java]


def _jenkinsfiles(directory: Path) -> Iterator[tuple[str, str]]:
    """(name, text): every kind of project with every agent; either meaning of a failed gate with each agent."""
    gates = itertools.cycle(["fail", "unstable"])
    for kind, project in KINDS.items():
        found = detect_project(make(directory / kind, project), {})[1]
        for agent, options in AGENTS.items():
            gate = next(gates)
            files = render_files(found, dataclasses.replace(options, gate_as=gate, train=True))
            yield f"{kind}-{agent}-{gate}", files["Jenkinsfile"]
            yield f"{kind}-{agent}-train", files["Jenkinsfile.train"]
    carried = Carried(
        variables=(("A", "b"), ("OUT", "${WORKSPACE}/out")), options=("--cpus=2",), volumes=("/data:/data",),
        credentials=(("s3-key-id", "a"), ("s3-secret-key", "b")), tools=(("jdk", "17"),),
    )  # fmt: skip
    former = DetectedProject("x", remote=Remote("origin", "s3"), carried=carried, python_path=("", "src"))
    former_files = render_files(former, ScaffoldOptions(train=True))
    yield "former", former_files["Jenkinsfile"]
    yield "former-train", former_files["Jenkinsfile.train"]
    yield "former-label", render_files(former, ScaffoldOptions(agent="label", label="x"))["Jenkinsfile"]
    evil = "x'; sh 'touch /tmp/pwned'; '${y}\\"
    found = DetectedProject(
        "x", folder=evil, remote=Remote(evil, "http"), target=evil, image=ContainerImage("shell", "debian:12")
    )
    hostile = render_files(found, ScaffoldOptions(train=True))
    yield "hostile", hostile["Jenkinsfile"]
    yield "hostile-train", hostile["Jenkinsfile.train"]
    for agent, options in AGENTS.items():
        files = render_files(dataclasses.replace(found, forge="github"), dataclasses.replace(options, commands=True))
        yield f"{agent}-commands", files["Jenkinsfile.commands"]
        yield f"{agent}-commanded", files["Jenkinsfile"]


_PLAIN = re.compile(r"^// \w+: [\w, ]+\.$|'[\w./ -]*'(?:, '[\w./ -]*')*", re.ASCII)
"""What a rule sees nothing of but its length: a comment of words, texts of such letters as stand in names of files."""


_METHOD = re.compile(r"^\w+ \w+\(.*\{")


def _parts(text: str) -> list[str]:
    """Return what stands before a script's methods, and each method with the comment above it."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for number, line in enumerate(lines):
        if _METHOD.match(line):
            start = number
            while lines[start - 1].startswith(("//", "\n")):
                start -= 1
            starts.append(start)
    return ["".join(lines[start:end]) for start, end in itertools.zip_longest(starts, starts[1:])]


_BLOCK = re.compile(r"( +)\w.*\{(?: //.*)?$")


def _without_old_blocks(part: str, missing: Collection[str]) -> str:
    """Leave out the blocks of a pipeline that have none of the missing lines."""
    lines = part.splitlines(keepends=True)
    kept: list[str] = []
    at = lines.index("pipeline {\n") + 1 if "pipeline {\n" in lines else len(lines)
    kept += lines[:at]
    while at < len(lines):
        end = at + 1
        if block := _BLOCK.match(lines[at]):
            end = lines.index(f"{block[1]}}}\n", at) + 1
        new = any(line.rstrip("\n") in missing for line in lines[at:end])
        if new or end == at + 1:
            kept.append(lines[at])
            end = at + 1
        at = end
    return "".join(kept)


def _with_every_line(texts: Mapping[str, str]) -> dict[str, str]:
    """Return few of the texts, in which each line of all of them stands: the linter takes seconds for each.

    Of lines that differ in plain texts alone one that is the longest counts for all. Of a text the parts are taken in
    which there is a line that stands in none before it, and of a pipeline the blocks.
    """
    longest: dict[str, str] = {}
    for line in sorted(line for text in texts.values() for line in text.splitlines()):
        kind = _PLAIN.sub("''", line)
        longest[kind] = max(longest.get(kind, ""), line, key=len)
    missing = set(longest.values())
    taken: dict[str, str] = {}
    while missing:
        name = max(texts, key=lambda name: len(missing.intersection(texts[name].splitlines())))
        new = [part for part in _parts(texts[name]) if missing.intersection(part.splitlines())]
        taken[name] = "".join(_without_old_blocks(part, missing) for part in new).lstrip("\n")
        missing.difference_update(texts[name].splitlines())
    return taken


def test_all_groovy_that_a_team_gets_is_clean(tmp_path: Path) -> None:
    linter = _linter()
    linted = tmp_path / "linted"
    texts = _with_every_line(dict(_jenkinsfiles(tmp_path)))
    texts["broken"] = "node { sh 'mlbutler push }\n"
    for name, text in texts.items():
        path = linted / name / "Jenkinsfile"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    shutil.copytree(LIBRARY, linted / "library")
    shutil.copy(RULES, linted)
    command = [*linter, "--config", str(linted / RULES.name), "--failon", "none", "--output", "json"]
    environ = os.environ | {"JAVA_TOOL_OPTIONS": JAVA_OPTS}
    done = subprocess.run(command, cwd=linted, env=environ, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    files = json.loads(done.stdout[done.stdout.index("{") :])["files"]
    found = {Path(name).relative_to(linted): result["errors"] for name, result in files.items()}
    assert set(found) == {path.relative_to(linted) for pattern in ("*/Jenkinsfile", "library/*/*.groovy")
                          for path in linted.glob(pattern)}  # fmt: skip
    broken = found.pop(Path("broken/Jenkinsfile"))
    assert "error" in {error["severity"] for error in broken}  # it does read what it is given
    said = [
        f"{name}:{error['line']}: {error['rule']}: {error['msg']}\n{(linted / name).read_text()}"
        for name, errors in found.items() for error in errors
    ]  # fmt: skip
    assert not said, "\n".join(said)


def test_every_rule_that_is_not_heeded_has_its_reason() -> None:
    lines = RULES.read_text().splitlines()
    rules = [at for at, line in enumerate(lines) if re.match(r"  \w+\.\w+:", line)]
    assert rules
    assert all(re.match(r"  # .{20}", lines[at - 1]) for at in rules)
